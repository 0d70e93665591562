import { limits } from "../../base/index.ts";
import type { KeyRange, Operation } from "../../machine/commands/index.ts";
import { isInRange } from "./copy.ts";
import { Refused } from "./failure.ts";

interface Writes {
  readonly puts: Set<string>;
  readonly deletes: KeyRange[];
}

/**
 * Throws `Refused` for operations that write a key twice on one path, two puts or a put and a deletion that covers it; for a comparison
 * without a key; for more operations, or deeper ones, than a transaction may have. Branches of one transaction exclude each other, and
 * deletions may overlap.
 */
export function duplicates(operations: readonly Operation[]): void {
  collect(operations, limits.transactionOperationsMax, 1);
}

function collect(operations: readonly Operation[], budget: number, depth: number): Writes {
  if (operations.length > budget)
    throw new Refused("INVALID_ARGUMENT", `too many operations in a transaction; ${limits.transactionOperationsMax} are allowed`);
  if (depth > limits.transactionDepthMax + 1)
    throw new Refused("INVALID_ARGUMENT", `transactions are nested deeper than ${limits.transactionDepthMax}`);
  const all: Writes = { puts: new Set(), deletes: [] };
  for (const operation of operations) {
    if (operation.kind === "delete") add(all, { puts: new Set(), deletes: [operation] });
    else if (operation.kind === "put") add(all, { puts: new Set([operation.key]), deletes: [] });
    else if (operation.kind === "txn") {
      if (operation.compare.some(({ key }) => key === "")) throw new Refused("INVALID_KEY", "the key of a comparison is empty");
      const left = budget - operations.length + (depth === 1 ? 1 : 0);
      const branches = [collect(operation.success, left, depth + 1), collect(operation.failure, left, depth + 1)];
      for (const branch of branches) refuseOverlap(all, branch);
      for (const branch of branches) merge(all, branch);
    }
  }
  return all;
}

function add(all: Writes, one: Writes): void {
  refuseOverlap(all, one);
  merge(all, one);
}

function merge(all: Writes, { deletes, puts }: Writes): void {
  for (const key of puts) all.puts.add(key);
  all.deletes.push(...deletes);
}

function refuseOverlap(all: Writes, { deletes, puts }: Writes): void {
  const twice =
    [...puts].some((key) => all.puts.has(key) || all.deletes.some((range) => isInRange(range, key))) ||
    deletes.some((range) => [...all.puts].some((key) => isInRange(range, key)));
  if (twice) throw new Refused("DUPLICATE_KEY", "a key is written twice in one branch");
}
