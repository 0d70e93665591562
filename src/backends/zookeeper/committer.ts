import type { HandleClock } from "../../api/index.ts";
import { isUnumError } from "../../base/index.ts";
import type { Prng } from "../../base/index.ts";
import type { KeyRange, Reply, ReplyResult } from "../../machine/commands/index.ts";
import type { EngineCall } from "../engine.ts";
import { isZooKeeperError } from "./client/index.ts";
import type { MultiOperation, MultiOutcome } from "./client/index.ts";
import { isInRange } from "./copy.ts";
import type { Copy } from "./copy.ts";
import { Refused, closed, refusalIn, refusedBy, unavailable, unknownOutcome } from "./failure.ts";
import { encodeEntry, encodeHead, encodeRecord, revisionOf } from "./layout.ts";
import type { Change, Head } from "./layout.ts";
import type { Store, Writer } from "./store.ts";

/** One transaction, as the state demands it. */
export interface Plan {
  readonly changes: readonly Change[];
  /** These must exist. */
  readonly leases: Iterable<bigint>;
  /** This one ends; at a version, only if it is there. */
  readonly ends?: { readonly lease: bigint; readonly version: number | undefined } | undefined;
  /** The history up to here is to go. */
  readonly compactTo?: number | undefined;
  stamp(revision: number): void;
  result(): ReplyResult;
}

export interface Intent {
  /** What `plan` looks at and changes. */
  readonly footprint: readonly KeyRange[];
  /**
   * A plan, or the answer where nothing is to be written. Throws `Refused`. May be asked several times. `ahead`: the changes that are on their
   * way and not in the copy, of other keys than the footprint's.
   */
  plan(copy: Copy, ahead: () => readonly Change[]): { readonly write: Plan } | { readonly answer: ReplyResult };
}

/** The records of history that are kept, and their bytes: some seconds of many writes, so that a watch outlasts a server that falls silent. */
const historyMax = 5_000;
const historyBytesMax = 16 * 1024 * 1024;
const historyRemovedMax = 8;
/** Transactions whose answers are awaited. After so many a writer stands back for a moment, so that others get their turn. */
const flightMax = 64;
/** For so long after others wrote, a writer stands back each time that its transactions have landed. */
const contendedMs = 5_000;
/** A multi's number is the version of a node, which has 31 bits. */
const numberMax = 0x7fff_0000;
/** A reply leaves so long before nobody waits for it. */
const marginMs = 100;

interface Pending {
  readonly intent: Intent;
  readonly id: string;
  /** It may have been applied: an answer was lost, or is awaited. */
  sent: boolean;
  done: boolean;
  resolve(reply: Reply): void;
  reject(error: Error): void;
}

interface Flight {
  readonly pending: Pending;
  readonly plan: Plan;
  readonly number: number;
  readonly data: Uint8Array;
  readonly head: Head;
}

/**
 * Sends this engine's transactions, each judged by the copy and sent at the number behind it. One whose footprint touches nothing that is on
 * its way does not wait for it. When one cannot be, all that were sent behind it cannot either, since each demands that the writer's node is at
 * the version that the one before has left; they are planned anew once the last answer is here.
 *
 * Each command has an id for all its attempts, and an attempt whose answer was lost is looked up in the history: it is applied once, or its
 * caller hears that nobody knows.
 */
export class Committer {
  private readonly store: Store;
  private readonly clock: HandleClock;
  private readonly prng: Prng;
  private readonly queue: Pending[] = [];
  private readonly flights: Flight[] = [];
  private readonly again: Flight[] = [];
  private writer: Writer | undefined;
  /** Of the writer's node, once all flights have landed. */
  private writerVersion = 0;
  private sentInTurn = 0;
  private lost = false;
  private foreign = false;
  private settling = false;
  private lastMs = 0;

  constructor(store: Store, clock: HandleClock, prng: Prng) {
    this.store = store;
    this.clock = clock;
    this.prng = prng;
  }

  submit(intent: Intent, call: EngineCall): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const leftMs = call.deadlineMs - this.clock.now();
      const timer = this.clock.after(Math.max(0, leftMs - Math.min(marginMs, leftMs / 10)), () => {
        if (pending.sent) pending.resolve(unknownOutcome(this.store.copy.revision));
        else pending.reject(unavailable("no answer in time"));
      });
      const finish = (settle: () => void): void => {
        if (pending.done) return;
        pending.done = true;
        timer.cancel();
        settle();
      };
      const pending: Pending = {
        intent,
        id: this.store.randomId(),
        sent: false,
        done: false,
        resolve: (reply) => finish(() => resolve(reply)),
        reject: (error) => finish(() => reject(error)),
      };
      // Nobody waits: what is under way goes on, and is not tried again.
      call.onCancel(() => pending.reject(unavailable("the call was given up")));
      this.queue.push(pending);
      this.pump();
    });
  }

  close(): void {
    for (const { reject } of this.queue.splice(0)) reject(closed());
  }

  private pump(): void {
    if (this.settling || this.queue.length === 0) return;
    if (this.writer === undefined) {
      this.lost = true;
      return this.landed();
    }
    while (this.queue.length > 0 && this.flights.length < flightMax) {
      const next = this.queue[0] as Pending;
      if (next.done) this.queue.shift();
      else if (this.sentInTurn >= flightMax) {
        if (this.flights.length === 0) this.standBack();
        return;
      } else if (this.isBlocked(next)) return;
      else {
        this.queue.shift();
        this.take(next, this.writer);
      }
    }
  }

  private readonly ahead = (): readonly Change[] => this.flights.flatMap(({ plan }) => plan.changes);

  private isBlocked({ intent: { footprint } }: Pending): boolean {
    return this.flights.some(
      ({ plan }) => plan.ends !== undefined || plan.changes.some(({ key }) => footprint.some((range) => isInRange(range, key))),
    );
  }

  /**
   * By chance up to twice the time of a transaction: another engine needs about half of one to see what was written and to send its own. Who has
   * just been answered would else always be first, and the others never.
   */
  private standBack(): void {
    this.settling = true;
    void this.store.pause(this.prng.between(0, 2 + Math.min(100, Math.ceil(2 * this.lastMs)))).then(() => {
      this.settling = false;
      this.sentInTurn = 0;
      this.pump();
    });
  }

  private take(pending: Pending, writer: Writer): void {
    try {
      const planned = pending.intent.plan(this.store.copy, this.ahead);
      if ("write" in planned) return this.send(pending, planned.write, writer);
    } catch (error) {
      if (!(error instanceof Refused)) return pending.reject(error as Error);
    }
    void this.confirm(pending);
  }

  /** Nothing is to be written, by what the copy shows: asked again once that is proven to be of now. */
  private async confirm(pending: Pending): Promise<void> {
    try {
      await this.store.fresh();
      const planned = pending.intent.plan(this.store.copy, this.ahead);
      if ("answer" in planned) pending.resolve({ ok: true, revision: this.store.copy.revision, result: planned.answer });
      else this.queue.unshift(pending);
    } catch (error) {
      const refused = refusalIn(error);
      if (refused === undefined) pending.reject(unavailable(String(error)));
      else pending.resolve(refused.reply(this.store.copy.revision));
    }
    this.pump();
  }

  private send(pending: Pending, plan: Plan, { path, zk }: Writer): void {
    const { copy } = this.store;
    const number = copy.number + this.flights.length + 1;
    if (number > numberMax)
      return pending.resolve(
        new Refused("OVER_QUOTA", `${numberMax} transactions below one chroot are all; use another.`).reply(copy.revision),
      );
    const data = encodeRecord(pending.id, plan.changes);
    const former = this.flights.at(-1)?.head ?? { oldest: copy.oldest, compactRevision: copy.compactRevision };
    const head = this.kept(former, number, data.length, plan.compactTo);
    const flight = { pending, plan, number, data, head };
    const operations = this.operations(flight, former, path);
    pending.sent = true;
    this.flights.push(flight);
    this.sentInTurn++;
    const begunMs = this.clock.now();
    zk.multi(operations)
      .then((outcome) => {
        this.lastMs = this.clock.now() - begunMs;
        if (outcome.applied) this.applied(flight, revisionOf(outcome.zxid));
        else this.refused(flight, outcome);
      })
      .catch((error: unknown) => this.unanswered(flight, error));
  }

  /** `head` as the transaction leaves it: the history has its limits. */
  private kept(former: Head, number: number, bytes: number, compactTo: number | undefined): Head {
    const { copy } = this.store;
    let { compactRevision, oldest } = former;
    let left = copy.historyBytes + bytes;
    for (let at = copy.oldest; at < oldest; at++) left -= copy.record(at)?.bytes ?? 0;
    const limit = Math.min(copy.number + 1, oldest + (compactTo === undefined ? historyRemovedMax : historyMax));
    for (; oldest < limit; oldest++) {
      const isWanted = compactTo === undefined ? number - oldest >= historyMax || left > historyBytesMax : oldest <= compactTo;
      if (!isWanted) break;
      const record = copy.record(oldest);
      left -= record?.bytes ?? 0;
      compactRevision = record?.revision ?? compactRevision;
    }
    return { oldest, compactRevision };
  }

  private operations({ data, head, number, plan }: Flight, former: Head, writerPath: string): MultiOperation[] {
    const { layout } = this.store;
    const operations: MultiOperation[] = [
      { kind: "set", path: layout.head, data: encodeHead(head), version: number - 1 },
      { kind: "set", path: writerPath, data: new Uint8Array(0), version: this.writerVersion + this.flights.length },
      { kind: "create", path: layout.record(number), data },
    ];
    for (const lease of plan.leases) operations.push({ kind: "check", path: layout.lease(lease) });
    if (plan.ends !== undefined) operations.push({ kind: "remove", path: layout.lease(plan.ends.lease), version: plan.ends.version });
    for (const { entry, key, previous } of plan.changes) {
      const path = layout.entry(key);
      if (entry === undefined) operations.push({ kind: "remove", path });
      else operations.push({ kind: previous === undefined ? "create" : "set", path, data: encodeEntry(entry.value, entry.lease) });
    }
    for (let oldest = former.oldest; oldest < head.oldest; oldest++) operations.push({ kind: "remove", path: layout.record(oldest) });
    return operations;
  }

  private applied(flight: Flight, revision: number): void {
    const { data, head, number, pending, plan } = flight;
    const { copy } = this.store;
    this.flights.splice(this.flights.indexOf(flight), 1);
    this.writerVersion++;
    plan.stamp(revision);
    if (copy.apply({ number, revision, id: pending.id, changes: plan.changes, bytes: data.length })) copy.trim(head);
    pending.resolve({ ok: true, revision, result: plan.result() });
    this.store.advanced();
    if (this.isTroubled) this.landed();
    else if (this.flights.length === 0 && this.clock.now() - this.store.othersWroteMs < contendedMs) this.standBack();
    else this.pump();
  }

  private get isTroubled(): boolean {
    return this.lost || this.again.length > 0 || this.settling;
  }

  private refused(flight: Flight, { code, failed, path }: Extract<MultiOutcome, { readonly applied: false }>): void {
    const { pending, plan } = flight;
    this.flights.splice(this.flights.indexOf(flight), 1);
    this.settling = true;
    pending.sent = false;
    const { layout, copy } = this.store;
    const lease = layout.leaseOf(path);
    const refusal = refusedBy(code, path);
    if (failed < 2) {
      // Somebody else was first, or the one in front was not applied.
      this.again.push(flight);
      // The writer's node went with its session.
      if (code === "NO_NODE") this.lost = true;
    } else if (refusal !== undefined) pending.resolve(refusal.reply(copy.revision));
    else if (lease !== undefined && (code === "NO_NODE" || plan.ends !== undefined)) {
      const text = code === "NO_NODE" ? `lease ${lease} has ended or never was` : `lease ${lease} was renewed`;
      pending.resolve(
        new Refused(code === "NO_NODE" ? "LEASE_NOT_FOUND" : "CONFLICT", text, { lease: String(lease) }).reply(copy.revision),
      );
    } else {
      // The nodes are not what the copy says: somebody else has written below the chroot.
      this.foreign = true;
      this.again.push(flight);
    }
    this.landed();
  }

  private unanswered(flight: Flight, error: unknown): void {
    const { pending } = flight;
    this.flights.splice(this.flights.indexOf(flight), 1);
    this.settling = true;
    const isDefinite = isZooKeeperError(error) ? error.outcome === "not-applied" : isUnumError(error) && error.outcome === "not-applied";
    const refused = isDefinite ? refusalIn(error) : undefined;
    if (isDefinite) pending.sent = false;
    if (refused === undefined) {
      this.lost = true;
      this.again.push(flight);
    } else pending.resolve(refused.reply(this.store.copy.revision));
    this.landed();
  }

  /** Once nothing is on its way any more: what was not applied is planned anew, in its order. */
  private landed(): void {
    this.settling = true;
    if (this.flights.length === 0) void this.settle();
  }

  private async settle(): Promise<void> {
    const { store } = this;
    try {
      if (this.lost) {
        // A new node for a writer makes certain that what was sent before is applied by now, or never.
        const former = this.writer;
        this.writer = undefined;
        this.writer = await store.renewWriter(former);
        this.writerVersion = 0;
      } else await store.fresh(false);
      if (this.foreign) await store.reload();
      this.lost = false;
      this.foreign = false;
      this.decide();
    } catch (error) {
      if (!(await this.goesOn(error))) return;
      return await this.settle();
    }
    this.settling = false;
    this.pump();
  }

  /** Of those whose answers were lost: what the history says. */
  private decide(): void {
    const { copy } = this.store;
    const waiting = this.again.splice(0).sort((a, b) => a.number - b.number);
    const undecided: Pending[] = [];
    for (const { number, pending, plan } of waiting) {
      const record = pending.sent && number <= copy.number ? copy.record(number) : undefined;
      if (record?.id === pending.id) {
        plan.stamp(record.revision);
        pending.resolve({ ok: true, revision: record.revision, result: plan.result() });
      } else if (pending.sent && number < copy.oldest) pending.resolve(unknownOutcome(copy.revision));
      else {
        pending.sent = false;
        undecided.push(pending);
      }
    }
    this.queue.unshift(...undecided.filter(({ done }) => !done));
  }

  /** Whether to go on trying. Without a session nothing can be decided; a refusal for good is everybody's. */
  private async goesOn(error: unknown): Promise<boolean> {
    if (this.store.isOver) {
      for (const { pending } of this.again.splice(0)) pending.resolve(unknownOutcome(this.store.copy.revision));
      this.close();
      return false;
    }
    const refused = refusalIn(error);
    if (refused !== undefined) {
      this.lost = true;
      for (const { resolve } of this.queue.splice(0)) resolve(refused.reply(this.store.copy.revision));
    }
    await this.store.pause();
    return true;
  }
}
