import type { MessageInitShape } from "@bufbuild/protobuf";
import { takeResult } from "../../../api/index.ts";
import type { Operation, TxnOperation } from "../../../api/index.ts";
import { latin1Decode } from "../../../base/index.ts";
import { defineService } from "../grpc/index.ts";
import type { Answers, Call, Method } from "../grpc/index.ts";
import { KV } from "../messages/index.ts";
import type { RangeRequest, RangeResponseSchema, RequestOp, TxnRequest } from "../messages/index.ts";
import type { Ground } from "../service.ts";
import { checkDelete, checkPut, checkRange, checkTxn } from "./check.ts";
import { Lanes } from "./lanes.ts";
import { boundedNumber, deleteOperation, putOperation, rangeOf, txnOperation } from "./operations.ts";
import { readRange } from "./range.ts";
import { deletedOf, previousOf, txnResultOf } from "./results.ts";

/** About what one message of a streamed range holds. */
const streamChunkEntries = 1_000;

export function kvService(ground: Ground): readonly Method[] {
  const { kv, access } = ground;
  const lanes = new Lanes(ground.clock);
  return defineService(KV, {
    range: async (request, call) => {
      checkRange(request);
      const { key, end } = rangeOf(request);
      access.read(call, key, end);
      const turn = end === "" ? undefined : lanes.enter(call);
      if (turn !== undefined) await turn;
      const answer = await readRange(kv, request, ground.within(call));
      return { header: ground.header(answer.revision), kvs: [...answer.kvs], more: answer.more, count: answer.count };
    },

    put: async (request, call) => {
      checkPut(request);
      const operation = putOperation(request);
      access.write(call, operation.key);
      if (request.prevKv) access.read(call, operation.key, "");
      return kv.command(
        operation,
        (reply) => {
          const { revision, result } = takeResult(reply, "put");
          return { header: ground.header(revision), ...previousOf(result.previous) };
        },
        ground.within(call),
      );
    },

    deleteRange: async (request, call) => {
      checkDelete(request);
      const operation = deleteOperation(request);
      access.remove(call, operation.key, operation.end);
      if (request.prevKv) access.read(call, operation.key, operation.end);
      return kv.command(
        operation,
        (reply) => {
          const { revision, result } = takeResult(reply, "delete");
          return { header: ground.header(revision), ...deletedOf(result) };
        },
        ground.within(call),
      );
    },

    txn: async (request, call) => {
      checkTxn(request, ground.txnOperationsMax);
      authorizeTxn(ground, call, request);
      const operation = txnOperation(request);
      const take = (reply: Uint8Array): ReturnType<typeof answerOf> => {
        const { revision, result } = takeResult(reply, "txn");
        return answerOf(revision, result);
      };
      const answerOf = (revision: number, result: ReturnType<typeof takeResult<"txn">>["result"]) => ({
        ...txnResultOf(result, revision),
        header: ground.header(revision),
      });
      if (!readsOnly(operation)) return kv.command(operation, take, ground.within(call));
      const consistency = isSerializable(request) ? "stale" : "linearizable";
      return kv.query(operation, take, { ...ground.within(call), consistency });
    },

    compact: async (request, call) => {
      access.administer(call);
      // A negative revision is one that is compacted already.
      const revision = boundedNumber(request.revision);
      const after = await kv.command({ kind: "compact", revision }, (reply) => takeResult(reply, "done").revision, ground.within(call));
      return { header: ground.header(after) };
    },

    rangeStream: (answers) => ({
      message: (request) => {
        streamRange(ground, lanes, answers, request).catch((error: unknown) => answers.fail(ground.toStatus(error)));
      },
      ended: () => undefined,
      closed: () => undefined,
    }),
  });
}

type RangePiece = { readonly rangeResponse: MessageInitShape<typeof RangeResponseSchema> };

async function streamRange(ground: Ground, lanes: Lanes, answers: Answers<RangePiece>, request: RangeRequest): Promise<void> {
  const { call } = answers;
  checkRange(request);
  const { key, end } = rangeOf(request);
  ground.access.read(call, key, end);
  if (end !== "") await lanes.enter(call);
  const { count, kvs, more, revision } = await readRange(ground.kv, request, ground.within(call));
  let at = 0;
  for (; at + streamChunkEntries < kvs.length; at += streamChunkEntries) {
    answers.send({ rangeResponse: { kvs: kvs.slice(at, at + streamChunkEntries) } });
  }
  answers.send({ rangeResponse: { header: ground.header(revision), kvs: kvs.slice(at), more, count } });
  answers.end();
}

/** A transaction that writes nothing is a read: no entry of the log is made for it. */
function readsOnly(txn: TxnOperation): boolean {
  const reads = (operation: Operation): boolean => operation.kind === "range" || (operation.kind === "txn" && readsOnly(operation));
  return txn.success.every(reads) && txn.failure.every(reads);
}

function isSerializable(request: TxnRequest): boolean {
  const serial = ({ request: operation }: RequestOp): boolean => operation.case === "requestRange" && operation.value.serializable;
  return request.success.every(serial) && request.failure.every(serial);
}

function authorizeTxn(ground: Ground, call: Call, request: TxnRequest): void {
  const { access } = ground;
  for (const compare of request.compare) access.read(call, latin1Decode(compare.key), latin1Decode(compare.rangeEnd));
  for (const { request: operation } of [...request.success, ...request.failure]) {
    if (operation.case === "requestTxn") authorizeTxn(ground, call, operation.value);
    else if (operation.case === "requestPut") {
      access.write(call, latin1Decode(operation.value.key));
      if (operation.value.prevKv) access.read(call, latin1Decode(operation.value.key), "");
    } else if (operation.case === "requestRange") {
      const { key, end } = rangeOf(operation.value);
      access.read(call, key, end);
    } else if (operation.case === "requestDeleteRange") {
      const { key, end } = rangeOf(operation.value);
      access.remove(call, key, end);
      if (operation.value.prevKv) access.read(call, key, end);
    }
  }
}
