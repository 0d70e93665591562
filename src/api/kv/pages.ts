import { isUnumError } from "../../base/index.ts";
import type { KeyRange, RangeOperation } from "../../machine/commands/index.ts";
import { expectResult } from "../client/replies.ts";
import type { Page, ReadOptions } from "../types.ts";
import { keyAfter } from "./keys.ts";
import type { Keyspace } from "./keyspace.ts";
import { pageEntriesDefault, rangeQuery, revisionArgument, toPage } from "./view.ts";
import type { View } from "./view.ts";

/** Values may be large: the first page finds out. */
const pageEntriesFirst = 100;

/** A page and the keys in it, as byte strings and whole. */
export interface ReadPage {
  readonly page: Page<unknown>;
  readonly keys: readonly string[];
}

export function readPage(space: Keyspace, view: View, query: RangeOperation, options: ReadOptions | undefined): Promise<ReadPage> {
  return space.query(
    query,
    (body) => {
      const { revision, result } = expectResult(body, "range");
      space.note(revision);
      return {
        page: toPage(view, query.revision === 0 ? revision : query.revision, result),
        keys: result.entries.map((entry) => entry.key),
      };
    },
    options,
  );
}

/** All pages of a range at one revision: that of the first page, unless one is given. */
export async function* readPages(
  space: Keyspace,
  view: View,
  range: KeyRange,
  options: ReadOptions | undefined,
): AsyncGenerator<ReadPage, void> {
  let revision = revisionArgument(options?.revision, "revision");
  let limit = pageEntriesFirst;
  let growing = true;
  let start = range.key;
  for (;;) {
    let read: ReadPage;
    try {
      read = await readPage(space, view, rangeQuery({ key: start, end: range.end }, limit, revision), options);
    } catch (error) {
      if (limit === 1 || !isUnumError(error, "TOO_LARGE")) throw error;
      limit = Math.max(1, limit >> 1);
      growing = false;
      continue;
    }
    yield read;
    const lastKey = read.keys.at(-1);
    if (!read.page.more || lastKey === undefined) return;
    if (revision === 0) revision = read.page.revision;
    start = keyAfter(lastKey);
    if (growing) limit = Math.min(pageEntriesDefault, limit * 2);
  }
}
