import { UnumError, emptyBytes, isUnumError } from "../../base/index.ts";
import type { Compare, KeyValue, OperationResult, RangeOperation } from "../../machine/commands/index.ts";
import { expectResult } from "../client/replies.ts";
import { retryDelayMs } from "../client/retry.ts";
import { sleep } from "../client/sleep.ts";
import { bytes } from "../kv/codec.ts";
import { byteString, prefixEnd } from "../kv/keys.ts";
import type { Keyspace } from "../kv/keyspace.ts";
import { rangeQuery } from "../kv/view.ts";
import { openWatch } from "../kv/watch.ts";
import type { AbortSignalLike } from "../signal.ts";
import type { CallOptions } from "../basics.ts";
import type { Seat } from "./seats.ts";

/** A key in line, with the revision at which it was put there. */
export interface Place {
  readonly key: string;
  readonly fence: number;
}

/** `isOnly`: when it was taken nothing else stood in the line, so that there is nobody to wait for. */
export interface Entered extends Place {
  readonly isOnly: boolean;
}

const nameBytesMax = 2048;
const pageKeys = 32;
/** What is left of a key behind the claim's name: a lease, as etcd writes it. */
const leaseText = /^[0-9a-f]{1,16}$/;

/** "name/": every place in line for the name begins so. INVALID_ARGUMENT for a name that is none. */
export function lineOf(name: unknown): string {
  const line = typeof name === "string" ? byteString(name, "The name") : "";
  if (line !== "" && line.length <= nameBytesMax) return `${line}/`;
  throw new UnumError("INVALID_ARGUMENT", `The name of a claim is a text of 1 to ${nameBytesMax} bytes.`);
}

export function placeKey(line: string, seat: Seat): string {
  return line + BigInt(seat.lease.id).toString(16);
}

function createCompare(key: string, revision: number): Compare {
  return { key, end: "", target: "create", relation: "equal", number: revision, lease: 0n, value: emptyBytes };
}

/**
 * Stands in line. The key is the place, its create revision the fence. A key that is there already was left by a call
 * whose outcome nobody learned: it is taken away first, since its place may be before ours.
 */
export async function enter(
  space: Keyspace,
  line: string,
  seat: Seat,
  value: Uint8Array,
  options: CallOptions | undefined,
): Promise<Entered> {
  const key = placeKey(line, seat);
  const everybody: RangeOperation = { ...rangeQuery({ key: line, end: prefixEnd(line) }, 0, 0), countOnly: true };
  const lease = BigInt(seat.lease.id);
  const put = { kind: "put", key, value, lease, previous: false, ignoreValue: false, ignoreLease: false } as const;
  for (;;) {
    const entered = await space.command(
      {
        kind: "txn",
        compare: [createCompare(key, 0)],
        success: [put, everybody],
        failure: [{ kind: "delete", key, end: "", previous: false }],
      },
      (body) => {
        const { revision, result } = expectResult(body, "txn");
        space.note(revision);
        const counted = result.results[1];
        return result.succeeded ? { key, fence: revision, isOnly: counted?.kind === "range" && counted.count === 1 } : undefined;
      },
      options,
    );
    if (entered !== undefined) return entered;
  }
}

/** Takes the key away, and goes on trying while the lease lives: a key that nobody answers for would block the line. */
export async function leave(space: Keyspace, seat: Seat, key: string): Promise<void> {
  const { clock, logger, prng } = space.client.environment;
  for (let attempt = 1; seat.lease.held && space.client.ended === undefined; attempt++) {
    try {
      await space.command({ kind: "delete", key, end: "", previous: false }, (body) => space.note(expectResult(body, "delete").revision), {
        timeout: 5_000,
      });
      return;
    } catch (error) {
      logger.debug("a place in line could not be given up yet", { error: String(error) });
      await sleep(clock, retryDelayMs(attempt, prng), undefined);
    }
  }
}

export interface Look {
  readonly revision: number;
  /** The nearest before ours that `blocks`, newest first. */
  readonly before: readonly KeyValue[];
}

/**
 * Who stands before the place and blocks it, up to `count` of them. Undefined: the place itself is gone, with its
 * lease or by somebody's hand.
 */
export async function look(
  space: Keyspace,
  line: string,
  place: Place,
  count: number,
  blocks: (entry: KeyValue) => boolean,
  options: CallOptions | undefined,
): Promise<Look | undefined> {
  const before: KeyValue[] = [];
  let below = place.fence;
  for (;;) {
    const page = await lookOnce(space, line, place, below, options);
    if (page === undefined) return undefined;
    for (const entry of page.entries) {
      if (!leaseText.test(entry.key.slice(line.length)) || !blocks(entry)) continue;
      before.push(entry);
      if (before.length === count) return { revision: page.revision, before };
    }
    const last = page.entries.at(-1);
    if (!page.more || last === undefined) return { revision: page.revision, before };
    below = last.createRevision;
  }
}

function lookOnce(
  space: Keyspace,
  line: string,
  place: Place,
  below: number,
  options: CallOptions | undefined,
): Promise<{ revision: number; entries: readonly KeyValue[]; more: boolean } | undefined> {
  const own: RangeOperation = { ...rangeQuery({ key: place.key, end: "" }, 0, 0, true) };
  const earlier: RangeOperation = {
    ...rangeQuery({ key: line, end: prefixEnd(line) }, pageKeys, 0),
    sort: { target: "create", descending: true },
    maxCreateRevision: below - 1,
  };
  return space.query(
    { kind: "txn", compare: [], success: [own, earlier], failure: [] },
    (body) => {
      const { revision, result } = expectResult(body, "txn");
      const [mine, others] = result.results.map((one) => (one.kind === "range" ? one : noRange()));
      if (mine?.entries[0]?.createRevision !== place.fence || others === undefined) return undefined;
      return { revision, entries: others.entries.map(keep), more: others.more };
    },
    options,
  );
}

function noRange(): Extract<OperationResult, { kind: "range" }> {
  throw new UnumError("MALFORMED", "The answer to a range is none.");
}

/** Bytes of the frame are not kept. */
function keep(entry: KeyValue): KeyValue {
  return { ...entry, value: entry.value.slice() };
}

/** Fulfils when the key was deleted, or when it is time to look again: only looking decides. Rejects with the signal's reason. */
export async function gone(space: Keyspace, key: string, from: number, signal: AbortSignalLike): Promise<void> {
  const watch = openWatch(space, { prefix: "", codec: bytes }, () => ({ key, end: "" }), { from, signal });
  try {
    for (;;) {
      const { done, value } = await watch[Symbol.asyncIterator]().next();
      if (done === true || value.events.some((event) => event.kind === "delete")) return;
    }
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    if (!isUnumError(error, "COMPACTED")) throw error;
  } finally {
    await watch.close();
  }
}

/** The first in line, oldest first: for whoever only looks. */
export async function firstInLine(
  space: Keyspace,
  line: string,
  limit: number,
  options: CallOptions | undefined,
): Promise<{ readonly revision: number; readonly entries: readonly KeyValue[] }> {
  const found: KeyValue[] = [];
  let above = 0;
  for (;;) {
    const query: RangeOperation = {
      ...rangeQuery({ key: line, end: prefixEnd(line) }, pageKeys, 0),
      sort: { target: "create", descending: false },
      minCreateRevision: above,
    };
    const page = await space.query(
      query,
      (body) => {
        const { revision, result } = expectResult(body, "range");
        space.note(revision);
        return { revision, entries: result.entries.map(keep), more: result.more };
      },
      options,
    );
    for (const entry of page.entries) {
      if (leaseText.test(entry.key.slice(line.length))) found.push(entry);
      if (found.length === limit) return { revision: page.revision, entries: found };
    }
    const last = page.entries.at(-1);
    if (!page.more || last === undefined) return { revision: page.revision, entries: found };
    above = last.createRevision + 1;
  }
}
