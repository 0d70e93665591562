import { commandBytes } from "../commands/index.ts";
import type { LeaderTime } from "../types.ts";
import { leaseId, leaseName, type Lease, type LeaseState } from "./state.ts";

/** Revokes proposed by one `due`: leases that end together do not flood the log. */
const revokesMax = 256;
/** A revoke that was proposed and not applied, its entry was lost say, is proposed again after this. */
const revokeRetryMs = 3_000;
/** How often remaining times are written to the log, for leases that live longer than this. */
const checkpointEveryMs = 300_000;
const checkpointLeasesMax = 1_000;
/** Timers of leases that are gone stay in the heap until they come up, this many and as many again as there are leases. */
const heapSlack = 1_024;

interface Timer {
  readonly name: string;
  readonly lease: Lease;
  deadlineMs: number;
  /** Its place in the heap; a later deadline moves it when it comes up. */
  dueMs: number;
  /** A revoke is proposed: never to be renewed again. */
  revoking: boolean;
  /** Proposed in a checkpoint that may not be applied yet: what a later leader may start from. 0: none. */
  proposedMs: number;
  /** Proposals to go back to the full time that are not applied yet. While there are any, no checkpoint is proposed: so each stands behind every checkpoint. */
  clearing: number;
}

/**
 * Deadlines of leases: they exist on the leader only, in its monotonic time, and never enter replicated
 * state except as revokes and checkpoints. A clock that stands still (a sleeping machine) makes a lease
 * last longer, never shorter: its owner counts by the larger of two clocks.
 */
export class LeaseTimers {
  private readonly state: LeaseState;
  private readonly timers = new Map<string, Timer>();
  private heap: Timer[] = [];
  /** Granted or replaced since `due` ran: their time begins when it runs next. */
  private fresh: Lease[] = [];
  /** Renewed although a checkpoint says less: the full time goes to the log, too. */
  private readonly renewed = new Set<string>();
  private leading = false;
  private nextCheckpointMs = 0;
  private lastMs = 0;

  constructor(state: LeaseState) {
    this.state = state;
  }

  /** The first entry of this node's term was applied: every lease starts anew, at its full or its checkpointed time. */
  lead(now: LeaderTime): void {
    this.follow();
    this.leading = true;
    this.lastMs = now.nowMs;
    this.nextCheckpointMs = now.nowMs + checkpointEveryMs;
    for (const cursor = this.state.leases.cursor(""); cursor.value !== undefined; cursor.next()) this.start(cursor.value, now.nowMs);
  }

  follow(): void {
    this.leading = false;
    this.timers.clear();
    this.heap = [];
    this.fresh = [];
    this.renewed.clear();
  }

  granted(lease: Lease): void {
    if (this.leading) this.fresh.push(lease);
  }

  revoked(lease: Lease): void {
    const timer = this.timers.get(leaseName(lease.low, lease.high));
    if (timer === undefined) return;
    this.timers.delete(timer.name);
    this.renewed.delete(timer.name);
    if (this.heap.length > 2 * this.timers.size + heapSlack) this.rebuild();
  }

  /** A checkpoint of this lease was applied. */
  checkpointed(lease: Lease, remainingMs: number): void {
    const timer = this.timers.get(leaseName(lease.low, lease.high));
    if (timer === undefined) return;
    if (remainingMs === 0) timer.clearing = Math.max(0, timer.clearing - 1);
    if (remainingMs === 0 || remainingMs === timer.proposedMs) timer.proposedMs = 0;
  }

  /**
   * Renews, and says for how long every later leader will honour it: the full time, unless a checkpoint
   * says less; then the full time is written first and the next keep-alive gets it.
   */
  keepAlive(lease: Lease, now: LeaderTime): number | undefined {
    if (!this.leading) return undefined;
    this.lastMs = now.nowMs;
    this.startFresh(now.nowMs);
    const timer = this.timers.get(leaseName(lease.low, lease.high));
    if (timer === undefined || timer.revoking) return undefined;
    timer.deadlineMs = now.nowMs + lease.ttlMs;
    const current = this.state.get(lease.low, lease.high) ?? lease;
    if (current.remainingMs === 0 && timer.proposedMs === 0) return lease.ttlMs;
    this.renewed.add(timer.name);
    return Math.min(lease.ttlMs, current.remainingMs || lease.ttlMs, timer.proposedMs || lease.ttlMs);
  }

  /** What is left, as the leader counts; on other nodes what the state says. */
  remainingMs(lease: Lease): number {
    const timer = this.timers.get(leaseName(lease.low, lease.high));
    if (timer === undefined) return lease.remainingMs || lease.ttlMs;
    return Math.max(0, timer.deadlineMs - this.lastMs);
  }

  /** Commands that only the leader may propose, in an order that depends on deadlines and ids alone. */
  due(now: LeaderTime): Uint8Array[] {
    if (!this.leading) return [];
    this.lastMs = now.nowMs;
    this.startFresh(now.nowMs);
    const commands: Uint8Array[] = [];
    for (let timer = this.heap[0]; timer !== undefined && timer.dueMs <= now.nowMs && commands.length < revokesMax; timer = this.heap[0]) {
      this.pop();
      if (this.timers.get(timer.name) !== timer) continue;
      if (timer.deadlineMs > now.nowMs) {
        this.push(timer, timer.deadlineMs);
        continue;
      }
      timer.revoking = true;
      this.push(timer, now.nowMs + revokeRetryMs);
      commands.push(commandBytes({ kind: "lease-revoke", lease: leaseId(timer.lease), term: now.term }));
    }
    this.checkpoints(now.nowMs, commands);
    return commands;
  }

  private checkpoints(nowMs: number, commands: Uint8Array[]): void {
    const leases: { lease: bigint; remainingMs: number }[] = [];
    for (const name of this.renewed) {
      const timer = this.timers.get(name);
      if (timer === undefined || timer.revoking) continue;
      timer.clearing++;
      leases.push({ lease: leaseId(timer.lease), remainingMs: 0 });
    }
    this.renewed.clear();
    if (nowMs >= this.nextCheckpointMs) {
      this.nextCheckpointMs = nowMs + checkpointEveryMs;
      for (const cursor = this.state.leases.cursor(""); cursor.value !== undefined; cursor.next())
        this.checkpoint(cursor.value, nowMs, leases);
    }
    for (let at = 0; at < leases.length; at += checkpointLeasesMax) {
      commands.push(commandBytes({ kind: "lease-checkpoint", leases: leases.slice(at, at + checkpointLeasesMax) }));
    }
  }

  private checkpoint(lease: Lease, nowMs: number, leases: { lease: bigint; remainingMs: number }[]): void {
    const timer = this.timers.get(leaseName(lease.low, lease.high));
    if (timer === undefined || timer.revoking || timer.clearing > 0 || lease.ttlMs <= checkpointEveryMs) return;
    const remainingMs = Math.min(lease.ttlMs, Math.max(1, Math.ceil(timer.deadlineMs - nowMs)));
    timer.proposedMs = remainingMs;
    leases.push({ lease: leaseId(lease), remainingMs });
  }

  private startFresh(nowMs: number): void {
    if (this.fresh.length === 0) return;
    for (const lease of this.fresh) if (this.state.has(lease.low, lease.high)) this.start(lease, nowMs);
    this.fresh = [];
  }

  private start(lease: Lease, nowMs: number): void {
    const deadlineMs = nowMs + (lease.remainingMs || lease.ttlMs);
    const timer: Timer = {
      name: leaseName(lease.low, lease.high),
      lease,
      deadlineMs,
      dueMs: deadlineMs,
      revoking: false,
      proposedMs: 0,
      clearing: 0,
    };
    this.timers.set(timer.name, timer);
    this.push(timer, deadlineMs);
  }

  private rebuild(): void {
    this.heap = [];
    for (const timer of this.timers.values()) this.push(timer, timer.dueMs);
  }

  private isBefore(a: Timer, b: Timer): boolean {
    return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.name < b.name);
  }

  private push(timer: Timer, dueMs: number): void {
    const { heap } = this;
    timer.dueMs = dueMs;
    let at = heap.length;
    heap.push(timer);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent] as Timer;
      if (!this.isBefore(timer, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = timer;
  }

  private pop(): void {
    const { heap } = this;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && this.isBefore(heap[child + 1] as Timer, heap[child] as Timer)) child++;
      if (!this.isBefore(heap[child] as Timer, last)) break;
      heap[at] = heap[child] as Timer;
      at = child;
    }
    heap[at] = last;
  }
}
