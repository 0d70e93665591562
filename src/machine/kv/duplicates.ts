import { limits } from "../../base/index.ts";
import type { KeyRange, Operation, TxnOperation } from "../commands/index.ts";
import { refusal, type Refusal } from "../refusal.ts";
import { UpgradeRequired } from "../types.ts";
import { rangeEnd } from "./range.ts";

/** What a list of operations writes, nested transactions included. */
interface Writes {
  readonly puts: Set<string>;
  readonly deletes: KeyRange[];
}

/**
 * Refuses what writes a key twice on one path: two puts, or a put and a deletion that covers it. The
 * branches of one transaction exclude each other, so a key may be in both; deletions may overlap. As in
 * etcd, except that the order of nested transactions does not matter: etcd overlooks a put whose key a
 * later sibling deletes.
 */
export function checkDuplicates(txn: TxnOperation): Refusal | undefined {
  for (const compare of txn.compare) if (compare.key === "") return refusal("INVALID_KEY", "the key of a comparison is empty");
  for (const branch of [txn.success, txn.failure]) {
    const result = collect(branch);
    if ("code" in result) return result;
  }
  return undefined;
}

function duplicate(): Refusal {
  return refusal("DUPLICATE_KEY", "a key is written twice in one branch");
}

function collect(operations: readonly Operation[]): Writes | Refusal {
  const all: Writes = { puts: new Set(), deletes: [] };
  for (const operation of operations) {
    if (operation.kind === "enqueue") throw new UpgradeRequired("operation enqueue");
    if (operation.kind === "delete") all.deletes.push(operation);
    if (operation.kind !== "put") continue;
    if (all.puts.has(operation.key)) return duplicate();
    all.puts.add(operation.key);
  }
  if (overlaps(all.puts, all.deletes)) return duplicate();
  for (const operation of operations) {
    if (operation.kind !== "txn") continue;
    for (const compare of operation.compare) if (compare.key === "") return refusal("INVALID_KEY", "the key of a comparison is empty");
    const success = collect(operation.success);
    if ("code" in success) return success;
    const failure = collect(operation.failure);
    if ("code" in failure) return failure;
    for (const branch of [success, failure]) {
      for (const key of branch.puts) if (all.puts.has(key)) return duplicate();
      if (overlaps(branch.puts, all.deletes) || overlaps(all.puts, branch.deletes)) return duplicate();
    }
    for (const branch of [success, failure]) {
      for (const key of branch.puts) all.puts.add(key);
      all.deletes.push(...branch.deletes);
    }
  }
  return all;
}

function overlaps(puts: ReadonlySet<string>, deletes: readonly KeyRange[]): boolean {
  if (puts.size === 0 || deletes.length === 0) return false;
  const keys = [...puts].sort((a, b) => (a < b ? -1 : 1));
  for (const range of deletes) {
    const end = rangeEnd(range);
    let low = 0;
    let high = keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((keys[middle] as string) < range.key) low = middle + 1;
      else high = middle;
    }
    const first = keys[low];
    if (first !== undefined && (end === undefined || first < end)) return true;
  }
  return false;
}

/**
 * For the gate, before proposing: how many operations a transaction may have. A level's largest list
 * counts against the budget of the levels below it, as etcd counts.
 */
export function checkTxnSize(txn: TxnOperation, budget: number = limits.transactionOperationsMax, depth: number = 1): Refusal | undefined {
  if (depth > limits.transactionDepthMax)
    return refusal("INVALID_ARGUMENT", `transactions are nested deeper than ${limits.transactionDepthMax}`);
  const largest = Math.max(txn.compare.length, txn.success.length, txn.failure.length);
  if (largest > budget)
    return refusal("INVALID_ARGUMENT", `too many operations in a transaction; ${limits.transactionOperationsMax} are allowed`);
  for (const operation of [...txn.success, ...txn.failure]) {
    const refused = operation.kind === "txn" ? checkTxnSize(operation, budget - largest, depth + 1) : undefined;
    if (refused !== undefined) return refused;
  }
  return undefined;
}
