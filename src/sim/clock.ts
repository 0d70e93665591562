import { assert } from "../base/index.ts";
import type { Clock, Timer } from "../ports/index.ts";
import type { SimHost } from "./host.ts";
import type { SimEvent } from "./scheduler.ts";

export interface SimClockOptions {
  /** Where `now` begins, in milliseconds. Default 0. */
  readonly originMs?: number;
  /** What `wall` says at the start. Default: the first moment of 2024. */
  readonly wallMs?: number;
  /** Parts per million by which this clock runs faster than virtual time; negative: slower. Default 0. */
  readonly driftPpm?: number;
}

const wallMsDefault = 1_704_067_200_000;
const million = 1_000_000;

/**
 * A host's clocks. Both run at the host's own rate; `wall` jumps when told to; while the host sleeps
 * `now` stands still and `wall` goes on.
 *
 * Invariant: local microseconds = `localUs` + (virtual − `anchorUs`) × rate since the last change.
 */
export class SimClock implements Clock {
  private readonly host: SimHost;
  private anchorUs: number;
  private localUs: number;
  private wallUs: number;
  private driftPpm: number;
  private asleep = false;

  constructor(host: SimHost, options: SimClockOptions = {}) {
    this.host = host;
    this.anchorUs = host.scheduler.nowUs;
    this.localUs = Math.floor((options.originMs ?? 0) * 1000);
    this.wallUs = Math.floor((options.wallMs ?? wallMsDefault) * 1000);
    this.driftPpm = options.driftPpm ?? 0;
    host.observe((state) => this.setAsleep(state === "asleep"));
  }

  now(): number {
    return this.nowUs() / 1000;
  }

  wall(): number {
    return Math.floor((this.wallUs + this.elapsedUs()) / 1000);
  }

  after(delayMs: number, callback: () => void): Timer {
    const dueUs = this.nowUs() + Math.ceil(Math.max(0, delayMs) * 1000);
    return new SimTimer(this, dueUs, callback);
  }

  defer(callback: () => void): void {
    this.host.schedule(0, "defer", callback);
  }

  deferLast(callback: () => void): void {
    this.host.schedule(0, "defer", callback);
  }

  /** From now on the clocks run at another rate. */
  setDrift(driftPpm: number): void {
    assert(Math.abs(driftPpm) < million, "a clock does not stand still or run backwards");
    this.anchor();
    this.driftPpm = driftPpm;
  }

  /** Somebody set the wall clock, forwards or backwards. */
  jumpWall(ms: number): void {
    this.wallUs += Math.round(ms * 1000);
  }

  /** The event in which local time reaches `dueUs`, as far as can be said now. */
  scheduleAt(dueUs: number, callback: () => void): SimEvent {
    const leftUs = Math.max(0, dueUs - this.nowUs());
    return this.host.schedule(Math.ceil((leftUs * million) / (million + this.driftPpm)), "timer", callback);
  }

  nowUs(): number {
    return this.asleep ? this.localUs : this.localUs + this.elapsedUs();
  }

  private elapsedUs(): number {
    const virtual = this.host.scheduler.nowUs - this.anchorUs;
    return this.driftPpm === 0 ? virtual : Math.floor((virtual * (million + this.driftPpm)) / million);
  }

  private anchor(): void {
    const elapsed = this.elapsedUs();
    this.wallUs += elapsed;
    if (!this.asleep) this.localUs += elapsed;
    this.anchorUs = this.host.scheduler.nowUs;
  }

  private setAsleep(asleep: boolean): void {
    if (asleep === this.asleep) return;
    this.anchor();
    this.asleep = asleep;
  }
}

/** Waits for local time: after a change of rate or a sleep it is due later than its event, and waits again. */
class SimTimer implements Timer {
  private readonly clock: SimClock;
  private readonly dueUs: number;
  private readonly callback: () => void;
  private event: SimEvent;

  constructor(clock: SimClock, dueUs: number, callback: () => void) {
    this.clock = clock;
    this.dueUs = dueUs;
    this.callback = callback;
    this.event = clock.scheduleAt(dueUs, this.fire);
  }

  cancel(): void {
    this.event.cancel();
  }

  private readonly fire = (): void => {
    if (this.clock.nowUs() < this.dueUs) this.event = this.clock.scheduleAt(Math.max(this.dueUs, this.clock.nowUs() + 1), this.fire);
    else this.callback();
  };
}
