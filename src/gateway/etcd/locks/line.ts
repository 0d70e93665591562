import { takeResult } from "../../../api/index.ts";
import type { KeyValue, RangeOperation, RawCompare, TxnOperation, WatchChange } from "../../../api/index.ts";
import { emptyBytes } from "../../../base/index.ts";
import type { Rights } from "../auth/rights.ts";
import type { Call } from "../grpc/index.ts";
import { leaseOf } from "../kv/operations.ts";
import { askForLease } from "../lease/rights.ts";
import type { Ground } from "../service.ts";
import { Code, GrpcError } from "../../../etcd/index.ts";

/** What a session of etcd's client library lasts that names no lease. It is not kept alive, since nobody could say for how long. */
const sessionMs = 60_000;
/** How long the place of a client that went away is tried to be given up; then it ends with its lease. */
const leaveMs = 7_000;

/** A place in the line of a name: etcd's own layout, so that its clients and ours wait behind each other. */
export interface Place {
  readonly key: string;
  readonly lease: bigint;
  /** The create revision: who has the lowest is first. */
  readonly revision: number;
  /** The store's when the place was taken or found. */
  readonly seen: number;
}

const point: Omit<RangeOperation, "key"> = {
  kind: "range",
  end: "",
  revision: 0,
  limit: 0,
  sort: undefined,
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
};

export function getOperation(key: string): RangeOperation {
  return { ...point, key };
}

/** The first key beyond all that begin with `name/`. */
const behind = (name: string): string => `${name}0`;

export function createdAt(key: string, revision: number): RawCompare {
  return { key, end: "", target: "create", relation: "equal", number: revision, lease: 0n, value: emptyBytes };
}

export interface Ran {
  readonly revision: number;
  readonly succeeded: boolean;
  readonly found: KeyValue | undefined;
}

export function ranOf(reply: Uint8Array): Ran {
  const { revision, result } = takeResult(reply, "txn");
  const [first] = result.results;
  const entry = first?.kind === "range" ? first.entries[0] : undefined;
  return { revision, succeeded: result.succeeded, found: entry === undefined ? undefined : { ...entry, value: entry.value.slice() } };
}

/** Takes a place, or finds the one that this lease has already; then `found` is what stands there. */
export async function takePlace(
  ground: Ground,
  call: Call,
  name: string,
  leaseId: bigint,
  value: Uint8Array,
): Promise<{ readonly place: Place; readonly found: KeyValue | undefined }> {
  await ground.access.known(call);
  const lease = leaseId === 0n ? await grantSession(ground, call) : leaseOf(leaseId);
  const key = `${name}/${lease.toString(16)}`;
  const ask = async (rights: Rights): Promise<void> => {
    rights.write(key);
    rights.read(`${name}/`, behind(name));
    await askForLease(ground, call, rights, lease);
  };
  const put = { kind: "put", key, value, lease, previous: false, ignoreValue: false, ignoreLease: false } as const;
  const txn = { kind: "txn", compare: [createdAt(key, 0)], success: [put], failure: [getOperation(key)] } as const;
  const { revision, found } = await ground.access.write(call, ask, txn, ranOf);
  return { place: { key, lease, revision: found?.createRevision ?? revision, seen: revision }, found };
}

async function grantSession(ground: Ground, call: Call): Promise<bigint> {
  return ground.kv.command(
    { kind: "lease-grant", lease: 0n, ttlMs: sessionMs },
    (reply) => takeResult(reply, "lease").result.lease,
    ground.within(call),
  );
}

/** Gives a place up; nothing is deleted that is not this place. */
export function leaving({ key, revision }: Pick<Place, "key" | "revision">): TxnOperation {
  const remove = { kind: "delete", key, end: "", previous: false } as const;
  return { kind: "txn", compare: [createdAt(key, revision)], success: [remove], failure: [] };
}

/** Fulfils when everybody in front has gone. A client that goes away meanwhile leaves no place behind. */
export async function waitInLine(ground: Ground, call: Call, name: string, place: Place): Promise<void> {
  try {
    for (;;) {
      const before = await nearest(ground, call, name, { descending: true, maxCreateRevision: place.revision - 1 });
      if (before.entry === undefined) return;
      await follow(ground, call, { key: before.entry.key, end: "" }, before.revision + 1, ({ events }) =>
        events.some(({ kind }) => kind === "delete"),
      );
    }
  } catch (error) {
    // Whoever took the place may give it up, even if its rights have ended meanwhile.
    ground.kv
      .command(leaving(place), ranOf, { timeout: leaveMs })
      .catch((reason: unknown) => ground.logger.debug("a place was left to its lease", { reason: String(reason) }));
    throw error;
  }
}

/** The first or, `descending`, the last created key of the line. */
export async function nearest(
  ground: Ground,
  call: Call,
  name: string,
  { descending = false, maxCreateRevision = 0 }: { readonly descending?: boolean; readonly maxCreateRevision?: number } = {},
): Promise<{ readonly revision: number; readonly entry: KeyValue | undefined }> {
  const sort = { target: "create", descending } as const;
  return ground.kv.query(
    { ...point, key: `${name}/`, end: behind(name), limit: 1, sort, maxCreateRevision },
    (reply) => {
      const { revision, result } = takeResult(reply, "range");
      const [entry] = result.entries;
      return { revision, entry: entry === undefined ? undefined : { ...entry, value: entry.value.slice() } };
    },
    ground.within(call),
  );
}

/** Shows each change from `from` on until `until` says true; rejects when the call is over or the watch ends. */
export function follow(
  ground: Ground,
  call: Call,
  range: { readonly key: string; readonly end: string },
  from: number,
  until: (change: WatchChange) => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let done = false;
    const finish = (settle: () => void): void => {
      if (done) return;
      done = true;
      watch.close();
      settle();
    };
    const watch = ground.kv.watch(
      { ...range, from, previous: false },
      {
        began: () => undefined,
        changed: (change, bytes) => {
          if (done) return;
          if (until(change)) finish(resolve);
          else watch.consumed(bytes);
        },
        progressed: () => undefined,
        live: () => undefined,
        ended: (error) => finish(() => reject(error ?? new GrpcError(Code.unavailable, "etcdserver: server stopped"))),
      },
    );
    call.onCancel(() => finish(() => reject(new GrpcError(Code.canceled, "context canceled"))));
  });
}
