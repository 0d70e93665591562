import { bytes } from "../api/index.ts";
import type { Compare, KV, Op, UnumHandle } from "../api/index.ts";
import type { Client, Relation, Store, StoredEntry, StoredPage, Txn, TxnCompare, TxnOperation, TxnOutcome } from "./client.ts";

/** The commands' client over the library's handle. */
export function clientOf(unum: UnumHandle): Client {
  return {
    kv: storeOf(unum.kv.with(bytes)),
    keyspace: (name) => storeOf(unum.keyspace(name).with(bytes)),
    status: (options) => unum.status(options),
    nodeStatus: (options) => unum.nodeStatus(options),
    members: (options) => unum.members(options),
    removeMember: (member, options) => unum.removeMember(member, options),
    transferLeader: (options) => unum.transferLeader(options),
    lock: (name, { shared, timeout, ttl }) => (shared ? unum.lock(name).shared : unum.lock(name)).acquire({ timeout, ttl }),
    election: (name) => {
      const election = unum.election(name);
      return { run: (work, { data, ttl }) => election.run(work, { data, ttl }), observe: () => election.observe() };
    },
    schedules: (options) => unum.schedules(options),
    snapshotSave: (options) => unum.snapshotSave(options),
    close: () => unum.close(),
  };
}

function storeOf(kv: KV<Uint8Array>): Store {
  return {
    get: (key, options) => kv.get(key, options),
    put: (key, value, options) => kv.put(key, value, options),
    delete: (target, options) => kv.delete(target, options),
    range: (range, options) => kv.range(range, options),
    watch: (target, options) => kv.watch(target, options),
    async txn(txn, options) {
      const result = await kv.txn(
        { if: txn.compare.map(compareOf), do: txn.success.map(operationOf), else: txn.failure.map(operationOf) },
        options,
      );
      const results = result.results as readonly unknown[];
      return { revision: result.revision, ok: result.ok, results: outcomesOf(result.ok ? txn.success : txn.failure, results) };
    },
  };
}

const relations: Readonly<Record<Relation, Compare["relation"]>> = { "=": "equal", "!=": "not-equal", "<": "less", ">": "greater" };

function compareOf(compare: TxnCompare): Compare {
  if (compare.target === "exists")
    return { key: compare.key, target: "version", relation: compare.exists ? "greater" : "equal", operand: 0 };
  if (compare.target === "value")
    return { key: compare.key, target: "value", relation: relations[compare.relation], operand: compare.value };
  const target = compare.target === "createRevision" ? "create" : compare.target;
  return { key: compare.key, target, relation: relations[compare.relation], operand: compare.number };
}

function operationOf(operation: TxnOperation): Op {
  return operation;
}

/** The library types results by position; a document's operations are known only now. */
function outcomesOf(operations: Txn["success"], results: readonly unknown[]): TxnOutcome[] {
  return operations.map((operation, at) => outcomeOf(operation, results[at]));
}

function outcomeOf(operation: TxnOperation, result: unknown): TxnOutcome {
  switch (operation.kind) {
    case "put":
      return { kind: "put" };
    case "get":
      return { kind: "get", entry: result as StoredEntry | undefined };
    case "delete":
      return { kind: "delete", deleted: (result as { readonly deleted: number }).deleted };
    case "range": {
      const page = result as StoredPage;
      return { kind: "range", entries: page.entries, more: page.more };
    }
  }
}
