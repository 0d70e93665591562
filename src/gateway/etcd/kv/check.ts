import type { Compare, PutRequest, RangeRequest, RequestOp, TxnRequest } from "../../../etcd/index.ts";
import { RangeRequest_SortOrder, RangeRequest_SortTarget, etcdErrors } from "../../../etcd/index.ts";
import { limits } from "../../../base/index.ts";

/** What etcd refuses before it proposes, in its order: which error a client sees depends on it. */
export function checkRange(request: RangeRequest): void {
  if (request.key.length === 0) throw etcdErrors.emptyKey();
  if (!isKnown(request.sortOrder, RangeRequest_SortOrder) || !isKnown(request.sortTarget, RangeRequest_SortTarget)) {
    throw etcdErrors.invalidSortOption();
  }
}

function isKnown(value: number, values: Readonly<Record<string, number>>): boolean {
  return Object.values(values).includes(value);
}

export function checkPut(request: PutRequest): void {
  if (request.key.length === 0) throw etcdErrors.emptyKey();
  if (request.ignoreValue && request.value.length > 0) throw etcdErrors.valueProvided();
  if (request.ignoreLease && request.lease !== 0n) throw etcdErrors.leaseProvided();
}

export function checkDelete(request: { readonly key: Uint8Array }): void {
  if (request.key.length === 0) throw etcdErrors.emptyKey();
}

/** A level's longest list counts against the budget of the levels below it. The machine takes fewer levels than etcd. */
export function checkTxn(request: TxnRequest, budget: number, depth = 0): void {
  const longest = Math.max(request.compare.length, request.success.length, request.failure.length);
  if (longest > budget || depth > limits.transactionDepthMax) throw etcdErrors.tooManyOps();
  for (const compare of request.compare) checkCompare(compare);
  for (const operation of request.success) checkOperation(operation, budget - longest, depth);
  for (const operation of request.failure) checkOperation(operation, budget - longest, depth);
}

function checkCompare(compare: Compare): void {
  if (compare.key.length === 0) throw etcdErrors.emptyKey();
}

function checkOperation({ request }: RequestOp, budget: number, depth: number): void {
  switch (request.case) {
    case "requestRange":
      return checkRange(request.value);
    case "requestPut":
      return checkPut(request.value);
    case "requestDeleteRange":
      return checkDelete(request.value);
    case "requestTxn":
      return checkTxn(request.value, budget, depth + 1);
    default:
      throw etcdErrors.keyNotFound();
  }
}
