import type { MessageInitShape } from "@bufbuild/protobuf";
import { takeResult } from "../../../api/index.ts";
import type { Operation, TxnOperation } from "../../../api/index.ts";
import type { Rights } from "../auth/rights.ts";
import { defineService } from "../grpc/index.ts";
import type { Answers, Method } from "../grpc/index.ts";
import { KV } from "../../../etcd/index.ts";
import type { RangeRequest, RangeResponseSchema, RequestOp, TxnRequest } from "../../../etcd/index.ts";
import type { Ground } from "../service.ts";
import { checkDelete, checkPut, checkRange, checkTxn } from "./check.ts";
import { Lanes } from "./lanes.ts";
import { boundedNumber, deleteOperation, putOperation, rangeOf, txnOperation } from "./operations.ts";
import { readRange } from "./range.ts";
import type { RangeAnswer } from "./range.ts";
import { deletedOf, previousOf, txnResultOf } from "./results.ts";
import { askForDelete, askForPut, askForTxn } from "./rights.ts";

/** About what one message of a streamed range holds. */
const streamChunkEntries = 1_000;

export function kvService(ground: Ground): readonly Method[] {
  const { kv, access } = ground;
  const lanes = new Lanes(ground.clock);
  return defineService(KV, {
    range: async (request, call) => {
      checkRange(request);
      const { key, end } = rangeOf(request);
      const run = async (): Promise<RangeAnswer> => {
        const turn = end === "" ? undefined : lanes.enter(call);
        if (turn !== undefined) await turn;
        return readRange(kv, request, ground.within(call));
      };
      const answer = await access.read(call, (rights) => rights.read(key, end), run, request.serializable);
      return { header: ground.header(answer.revision), kvs: [...answer.kvs], more: answer.more, count: answer.count };
    },

    put: async (request, call) => {
      checkPut(request);
      const operation = putOperation(request);
      return access.write(
        call,
        (rights) => askForPut(ground, call, rights, request),
        operation,
        (reply) => {
          const { revision, result } = takeResult(reply, "put");
          return { header: ground.header(revision), ...previousOf(result.previous) };
        },
      );
    },

    deleteRange: async (request, call) => {
      checkDelete(request);
      const operation = deleteOperation(request);
      return access.write(
        call,
        (rights) => askForDelete(rights, request),
        operation,
        (reply) => {
          const { revision, result } = takeResult(reply, "delete");
          return { header: ground.header(revision), ...deletedOf(result) };
        },
      );
    },

    txn: async (request, call) => {
      checkTxn(request, ground.txnOperationsMax);
      const operation = txnOperation(request);
      const take = (reply: Uint8Array): ReturnType<typeof answerOf> => {
        const { revision, result } = takeResult(reply, "txn");
        return answerOf(revision, result);
      };
      const answerOf = (revision: number, result: ReturnType<typeof takeResult<"txn">>["result"]) => ({
        ...txnResultOf(result, revision),
        header: ground.header(revision),
      });
      const ask = (rights: Rights): Promise<void> => askForTxn(ground, call, rights, request);
      if (!readsOnly(operation)) return access.write(call, ask, operation, take);
      const serializable = isSerializable(request);
      const consistency = serializable ? "stale" : "linearizable";
      return access.read(call, ask, () => kv.query(operation, take, { ...ground.within(call), consistency }), serializable);
    },

    compact: async (request, call) => {
      await access.known(call);
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
  const run = async (): Promise<RangeAnswer> => {
    if (end !== "") await lanes.enter(call);
    return readRange(ground.kv, request, ground.within(call));
  };
  const { count, kvs, more, revision } = await ground.access.read(call, (rights) => rights.read(key, end), run, request.serializable);
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
