import { latin1Decode } from "../../../base/index.ts";
import type { Rights } from "../auth/rights.ts";
import type { Call } from "../grpc/index.ts";
import { askForLease } from "../lease/rights.ts";
import type { DeleteRangeRequest, PutRequest, TxnRequest } from "../../../etcd/index.ts";
import type { Ground } from "../service.ts";
import { leaseOf, rangeOf } from "./operations.ts";

/** What etcd asks for a put, in its order: which refusal a client sees depends on it. */
export async function askForPut(ground: Ground, call: Call, rights: Rights, request: PutRequest): Promise<void> {
  const key = latin1Decode(request.key);
  rights.write(key);
  if (request.lease !== 0n) await askForLease(ground, call, rights, leaseOf(request.lease));
  if (request.prevKv) rights.read(key, "");
}

export function askForDelete(rights: Rights, request: DeleteRangeRequest): void {
  const { key, end } = rangeOf(request);
  rights.remove(key, end);
  if (request.prevKv) rights.read(key, end);
}

/** Both branches, whichever will be taken, and those of transactions in them. */
export async function askForTxn(ground: Ground, call: Call, rights: Rights, request: TxnRequest): Promise<void> {
  if (rights.isFree) return;
  for (const compare of request.compare) rights.read(latin1Decode(compare.key), latin1Decode(compare.rangeEnd));
  for (const { request: operation } of [...request.success, ...request.failure]) {
    if (operation.case === "requestTxn") await askForTxn(ground, call, rights, operation.value);
    else if (operation.case === "requestPut") await askForPut(ground, call, rights, operation.value);
    else if (operation.case === "requestDeleteRange") askForDelete(rights, operation.value);
    else if (operation.case === "requestRange") {
      const { key, end } = rangeOf(operation.value);
      rights.read(key, end);
    }
  }
}
