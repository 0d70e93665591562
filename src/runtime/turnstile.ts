import { limits } from "../base/index.ts";
import type { Call } from "./connection.ts";
import { FairQueue } from "./fair-queue.ts";

export interface TurnstileHost {
  now(): number;
  /** Proposes the call here or passes it on; `Call.leave` follows when it is answered. */
  pass(call: Call): void;
  /** Its time was over before its turn came. */
  expired(call: Call): void;
  /** There is room, and somebody waits: `pump` at the end of this turn. */
  wake(): void;
}

/** What a call costs besides its bytes. */
const callBytes = 256;

/**
 * Commands of one group on their way through this node: so many may be under way, the others wait in
 * one lane per asker and go in turns. Without it a client with ten thousand commands in flight would
 * have them all stand in front of everybody else's next one. Urgent commands, which free memory or keep
 * claims alive, go before the others.
 *
 * Invariant: `inFlight` and `inFlightBytes` are those of the calls whose `turnstile` is this.
 */
export class Turnstile {
  private readonly host: TurnstileHost;
  private readonly urgent = new FairQueue<Call>();
  private readonly normal = new FairQueue<Call>();
  private inFlight = 0;
  private inFlightBytes = 0;

  constructor(host: TurnstileHost) {
    this.host = host;
  }

  get waiting(): number {
    return this.urgent.size + this.normal.size;
  }

  private get hasRoom(): boolean {
    return this.inFlight < limits.groupInflightMax && this.inFlightBytes < limits.groupInflightBytesMax;
  }

  /** False: this asker has too many waiting. */
  enter(call: Call, asker: unknown, isUrgent: boolean): boolean {
    if (this.waiting === 0 && this.hasRoom) {
      this.admit(call);
      return true;
    }
    const queue = isUrgent ? this.urgent : this.normal;
    if (queue.waiting(asker) >= limits.connectionRequestsMax) return false;
    call.retain();
    queue.add(asker, call, call.bodyBytes + callBytes);
    return true;
  }

  private admit(call: Call): void {
    this.inFlight++;
    this.inFlightBytes += call.bodyBytes;
    call.turnstile = this;
    this.host.pass(call);
  }

  /** A call that was let through is answered. */
  left(bytes: number): void {
    this.inFlight--;
    this.inFlightBytes -= bytes;
    if (this.waiting > 0) this.host.wake();
  }

  /** Lets through whoever's turn it is. */
  pump(): void {
    while (this.hasRoom) {
      const call = this.urgent.take() ?? this.normal.take();
      if (call === undefined) return;
      if (!call.isOpen) continue;
      if (this.host.now() >= call.deadlineMs) this.host.expired(call);
      else this.admit(call);
    }
  }

  /** Nobody gets through any more. */
  close(): readonly Call[] {
    return [this.urgent, this.normal].flatMap((queue) => [...queue.expire(() => true)]);
  }

  /** Called with every tick: whose time is over while nobody gets through hears of it. */
  tick(): void {
    const now = this.host.now();
    const over = (call: Call): boolean => !call.isOpen || now >= call.deadlineMs;
    for (const queue of [this.urgent, this.normal]) for (const call of queue.expire(over)) if (call.isOpen) this.host.expired(call);
  }
}
