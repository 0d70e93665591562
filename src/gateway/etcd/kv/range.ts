import { compareBytes, isUnumError, latin1Encode } from "../../../base/index.ts";
import { takeResult } from "../../../api/index.ts";
import type { CallOptions, RangeOperation, RawKeyspace } from "../../../api/index.ts";
import type { RangeRequest } from "../../../etcd/index.ts";
import { RangeRequest_SortOrder, RangeRequest_SortTarget } from "../../../etcd/index.ts";
import { rangeOperation } from "./operations.ts";
import { rangeResultOf } from "./results.ts";
import type { KeyValueInit } from "./results.ts";

/** The answer to one range, without its header. */
export interface RangeAnswer {
  readonly revision: number;
  readonly kvs: readonly KeyValueInit[];
  readonly more: boolean;
  readonly count: bigint;
}

/** Entries of a page when a range is too large for one answer: pages end early by bytes. */
const pageEntries = 10_000;

/** A range as etcd answers it: whole, however large it is. */
export async function readRange(kv: RawKeyspace, request: RangeRequest, options: CallOptions): Promise<RangeAnswer> {
  const operation = rangeOperation(request);
  const read = { ...options, consistency: request.serializable ? "stale" : "linearizable" } as const;
  if (isOrderedLate(request)) {
    return arrange(await readPages(kv, { ...operation, sort: undefined, limit: operation.limit + 1 }, read), operation);
  }
  try {
    const page = await readPage(kv, operation, read);
    if (!page.more || operation.countOnly || isFull(page, operation)) return page;
  } catch (error) {
    if (!isUnumError(error, "TOO_LARGE")) throw error;
  }
  if (operation.sort === undefined && !isFiltered(operation)) return readPages(kv, operation, read);
  return arrange(await readPages(kv, { ...operation, sort: undefined, limit: 0 }, read), operation);
}

type Read = CallOptions & { readonly consistency: "stale" | "linearizable" };

function readPage(kv: RawKeyspace, operation: RangeOperation, options: Read): Promise<RangeAnswer> {
  return kv.query(
    operation,
    (reply) => {
      const { revision, result } = takeResult(reply, "range");
      return { revision, ...rangeResultOf(result) };
    },
    options,
  );
}

/** The limit was reached, not the size of a page. */
function isFull(page: RangeAnswer, operation: RangeOperation): boolean {
  return operation.limit > 0 && page.kvs.length >= operation.limit;
}

function isFiltered(operation: RangeOperation): boolean {
  return operation.minModRevision > 0 || operation.maxModRevision > 0 || operation.minCreateRevision > 0 || operation.maxCreateRevision > 0;
}

/** Page after page at the revision of the first, in order of keys. Filters apply within each page. */
async function readPages(kv: RawKeyspace, operation: RangeOperation, options: Read): Promise<RangeAnswer> {
  const first = await readPage(
    kv,
    { ...operation, limit: operation.limit > 0 ? Math.min(operation.limit, pageEntries) : pageEntries },
    options,
  );
  const kvs = [...first.kvs];
  const wanted = operation.limit > 0 ? operation.limit : Number.POSITIVE_INFINITY;
  const revision = operation.revision > 0 ? operation.revision : first.revision;
  let more = first.more;
  while (more && kvs.length < wanted) {
    const last = kvs[kvs.length - 1]?.key as Uint8Array;
    const key = `${String.fromCharCode(...last)}\0`;
    const page = await readPage(kv, { ...operation, key, revision, limit: Math.min(pageEntries, wanted - kvs.length) }, options);
    for (const entry of page.kvs) kvs.push(entry);
    more = page.more;
  }
  return { revision: first.revision, kvs, more, count: first.count };
}

/** A target without an order, and no filter: etcd takes one more than the limit by keys, sorts these, and cuts. */
function isOrderedLate(request: RangeRequest): boolean {
  if (request.sortOrder !== RangeRequest_SortOrder.NONE || request.sortTarget === RangeRequest_SortTarget.KEY) return false;
  const isFree = request.minModRevision === 0n && request.maxModRevision === 0n && request.minCreateRevision === 0n;
  return request.limit > 0n && isFree && request.maxCreateRevision === 0n && !request.countOnly;
}

/** Sorts and cuts what came in order of keys. */
function arrange(page: RangeAnswer, operation: RangeOperation): RangeAnswer {
  const kvs = operation.sort === undefined ? [...page.kvs] : [...page.kvs].sort(comparerOf(operation.sort));
  const more = operation.limit > 0 && kvs.length > operation.limit;
  return { ...page, kvs: more ? kvs.slice(0, operation.limit) : kvs, more };
}

function comparerOf({ target, descending }: NonNullable<RangeOperation["sort"]>): (a: KeyValueInit, b: KeyValueInit) => number {
  const compare = (a: KeyValueInit, b: KeyValueInit): number => {
    switch (target) {
      case "version":
        return Number((a.version ?? 0n) - (b.version ?? 0n));
      case "create":
        return Number((a.createRevision ?? 0n) - (b.createRevision ?? 0n));
      case "mod":
        return Number((a.modRevision ?? 0n) - (b.modRevision ?? 0n));
      case "value":
        return compareBytes(a.value ?? latin1Encode(""), b.value ?? latin1Encode(""));
      default:
        return compareBytes(a.key ?? latin1Encode(""), b.key ?? latin1Encode(""));
    }
  };
  return descending ? (a, b) => compare(b, a) : compare;
}
