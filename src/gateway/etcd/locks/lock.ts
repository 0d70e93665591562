import { takeResult } from "../../../api/index.ts";
import { emptyBytes, latin1Decode, latin1Encode } from "../../../base/index.ts";
import { defineService } from "../grpc/index.ts";
import type { Method } from "../grpc/index.ts";
import { Code, GrpcError, Lock } from "../../../etcd/index.ts";
import type { Ground } from "../service.ts";
import { asClient } from "./client-errors.ts";
import { getOperation, takePlace, waitInLine } from "./line.ts";

/** etcd's lock service: a fair line per name. What it protects must compare the key's revision, as with etcd. */
export function lockService(ground: Ground): readonly Method[] {
  return defineService(Lock, {
    lock: asClient(ground, async (request, call) => {
      const name = latin1Decode(request.name);
      const { place } = await takePlace(ground, call, name, request.lease, emptyBytes);
      await waitInLine(ground, call, name, place);
      // The lease may have ended while its holder waited.
      const held = await ground.kv.query(
        getOperation(place.key),
        (reply) => {
          const { revision, result } = takeResult(reply, "range");
          return { revision, isThere: result.entries[0]?.createRevision === place.revision };
        },
        ground.within(call),
      );
      if (!held.isThere) throw new GrpcError(Code.unknown, "mutex: session is expired");
      return { header: ground.header(held.revision), key: latin1Encode(place.key) };
    }),

    unlock: asClient(ground, async (request, call) => {
      const key = latin1Decode(request.key);
      const revision = await ground.access.write(
        call,
        (rights) => rights.remove(key, ""),
        { kind: "delete", key, end: "", previous: false },
        (reply) => takeResult(reply, "delete").revision,
      );
      return { header: ground.header(revision) };
    }),
  });
}
