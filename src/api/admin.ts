import { systemGroup } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { Method, decodeAdminResponse, encodeAdminRequest } from "../wire/index.ts";
import type { AdminOp, AdminRequest, AdminResponseTo } from "../wire/index.ts";
import type { CallSpec } from "./client/call.ts";
import type { Client } from "./client/client.ts";
import type { CallOptions } from "./types.ts";

const reading: ReadonlySet<AdminOp> = new Set<AdminOp>(["status", "node-status", "members", "keyspaces"]);

/** Asks any node. What changes something is sent once: a lost connection leaves its outcome unknown. */
export function askAdmin<R extends AdminRequest>(
  client: Client,
  request: R,
  options: CallOptions | undefined,
  group: GroupId = systemGroup,
): Promise<AdminResponseTo<R["op"]>> {
  return client.call(adminCall(request, group), options);
}

export function adminCall<R extends AdminRequest>(request: R, group: GroupId = systemGroup): CallSpec<AdminResponseTo<R["op"]>> {
  const reads = reading.has(request.op);
  return {
    method: Method.admin,
    group,
    body: encodeAdminRequest(request),
    priority: "system",
    effect: !reads,
    repeat: reads,
    decode: (body) => decodeAdminResponse<R["op"]>(request.op, body),
  };
}
