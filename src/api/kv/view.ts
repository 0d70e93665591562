import { UnumError } from "../../base/index.ts";
import type { KeyRange, KeyValue, OperationResult, RangeOperation } from "../../machine/commands/index.ts";
import type { Codec, Entry, Page } from "../types.ts";
import { decodeValue } from "./codec.ts";
import { keyBytes, keyText } from "./keys.ts";

/** How a handle sees a keyspace: behind a prefix, through a codec. */
export interface View {
  /** Byte string. */
  readonly prefix: string;
  readonly codec: Codec<never, unknown>;
}

/** The machine's entry as the caller sees it. Bytes of the frame are not kept. */
export function toEntry(view: View, stored: KeyValue): Entry<unknown> {
  const name = view.prefix === "" ? stored.key : stored.key.slice(view.prefix.length);
  const entry = {
    key: keyText(name),
    keyBytes: keyBytes(name),
    value: decodeValue(view.codec, stored.value, stored.key),
    revision: stored.modRevision,
    createRevision: stored.createRevision,
    version: stored.version,
  };
  return stored.lease === 0n ? entry : { ...entry, lease: stored.lease.toString() };
}

export function toPage(view: View, revision: number, result: Extract<OperationResult, { kind: "range" }>): Page<unknown> {
  return { revision, entries: result.entries.map((entry) => toEntry(view, entry)), more: result.more, count: result.count };
}

export function rangeQuery(range: KeyRange, limit: number, revision: number, keysOnly = false): RangeOperation {
  return {
    kind: "range",
    key: range.key,
    end: range.end,
    revision,
    limit,
    sort: undefined,
    keysOnly,
    countOnly: false,
    minModRevision: 0,
    maxModRevision: 0,
    minCreateRevision: 0,
    maxCreateRevision: 0,
  };
}

export const pageEntriesDefault = 1000;
export const pageEntriesMax = 10_000;

export function pageLimit(limit: number | undefined): number {
  if (limit === undefined) return pageEntriesDefault;
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= pageEntriesMax) return limit;
  throw new UnumError("INVALID_ARGUMENT", `limit is a whole number from 1 to ${pageEntriesMax}, not ${String(limit)}.`);
}

export function revisionArgument(revision: number | undefined, what: string): number {
  if (revision === undefined) return 0;
  if (Number.isSafeInteger(revision) && revision >= 0) return revision;
  throw new UnumError("INVALID_ARGUMENT", `${what} is a revision, a whole number from 0, not ${String(revision)}.`);
}
