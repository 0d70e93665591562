import { assert } from "../base/index.ts";
import type { Describable } from "../base/index.ts";
import { drainReactions } from "./drain.ts";
import { Trace } from "./trace.ts";

/** Asked when an event's time has come: run it, forget it, or keep it (the gate then does that itself). */
export interface EventGate {
  admit(event: SimEvent): "run" | "drop" | "hold";
}

/** Something that will happen. `cancel` after it happened does nothing. */
export class SimEvent {
  readonly label: string;
  readonly gate: EventGate | undefined;
  /** For gates: the life of the host in which it was made. */
  readonly life: number;
  timeUs: number;
  sequence: number;
  callback: (() => void) | undefined;

  constructor(timeUs: number, sequence: number, label: string, callback: () => void, gate: EventGate | undefined, life: number) {
    this.timeUs = timeUs;
    this.sequence = sequence;
    this.label = label;
    this.callback = callback;
    this.gate = gate;
    this.life = life;
  }

  cancel(): void {
    this.callback = undefined;
  }
}

function before(a: SimEvent, b: SimEvent): boolean {
  return a.timeUs < b.timeUs || (a.timeUs === b.timeUs && a.sequence < b.sequence);
}

/** The run did not reach what it waited for; `message` says what was pending. */
export class SimulationStuck extends Error {
  override readonly name = "SimulationStuck";
}

export interface SchedulerOptions {
  /** Each executed event as a line, to find the first difference of two runs. */
  readonly record?: (line: string) => void;
}

/**
 * Virtual time: one queue of events, ordered by time (whole microseconds) and, at equal times, by
 * when they were put in. Between two events all promise reactions run, so that asynchronous code is
 * part of the order. Nothing else makes time pass.
 */
export class Scheduler implements Describable {
  readonly trace: Trace;
  private heap: SimEvent[] = [];
  private sequence = 0;
  private timeUs = 0;
  private executedEvents = 0;
  private running = false;
  private current = "";

  constructor(options: SchedulerOptions = {}) {
    this.trace = new Trace(options.record);
  }

  get nowUs(): number {
    return this.timeUs;
  }

  get nowMs(): number {
    return this.timeUs / 1000;
  }

  get executed(): number {
    return this.executedEvents;
  }

  /** The label of the event that is running or ran last. */
  get currentLabel(): string {
    return this.current;
  }

  /** At `delayUs` microseconds from now, rounded up; 0 is this instant, after what is due already. */
  schedule(delayUs: number, label: string, callback: () => void, gate?: EventGate, life = 0): SimEvent {
    assert(delayUs >= 0, "nothing happens in the past");
    const event = new SimEvent(this.timeUs + Math.ceil(delayUs), this.sequence++, label, callback, gate, life);
    this.push(event);
    return event;
  }

  /** An event that a gate held back is due now, after what is due already. */
  reschedule(event: SimEvent): void {
    event.timeUs = this.timeUs;
    event.sequence = this.sequence++;
    this.push(event);
  }

  /** Runs all events of the next `ms` milliseconds; time is then that much later. */
  async run(ms: number): Promise<void> {
    const endUs = this.timeUs + Math.ceil(ms * 1000);
    await this.loop(endUs, () => false);
    if (this.timeUs < endUs) this.timeUs = endUs;
  }

  /** Runs until `done()` (asked after each event), for at most `limitMs`. Throws `SimulationStuck`. */
  async until(done: () => boolean, limitMs = 60_000): Promise<void> {
    if (await this.loop(this.timeUs + Math.ceil(limitMs * 1000), done)) return;
    throw new SimulationStuck(`not reached within ${limitMs} ms of virtual time\n${this.describe()}`);
  }

  /** Runs until the promise settles, and settles as it does. */
  async settle<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    let settled = false;
    const mark = (): void => {
      settled = true;
    };
    promise.then(mark, mark);
    await this.until(() => settled, limitMs);
    return promise;
  }

  private async loop(endUs: number, done: () => boolean): Promise<boolean> {
    assert(!this.running, "one run at a time");
    this.running = true;
    try {
      await drainReactions();
      while (!done()) {
        const event = this.heap[0];
        if (event === undefined || event.timeUs > endUs) return false;
        this.pop();
        if (!this.execute(event)) continue;
        await drainReactions();
      }
      return true;
    } finally {
      this.running = false;
    }
  }

  private execute(event: SimEvent): boolean {
    const callback = event.callback;
    if (callback === undefined) return false;
    this.timeUs = event.timeUs;
    const admission = event.gate?.admit(event) ?? "run";
    if (admission !== "run") return false;
    event.callback = undefined;
    this.executedEvents++;
    this.current = event.label;
    this.trace.event(event.timeUs, event.label);
    callback();
    return true;
  }

  /** The time and the next events. */
  describe(): string {
    const pending = this.heap.filter((event) => event.callback !== undefined).sort((a, b) => (before(a, b) ? -1 : 1));
    const lines = pending.slice(0, 20).map((event) => `  +${((event.timeUs - this.timeUs) / 1000).toFixed(3)} ms ${event.label}`);
    if (pending.length > lines.length) lines.push(`  … and ${pending.length - lines.length} more`);
    return [`${this.nowMs.toFixed(3)} ms, ${this.executedEvents} events, last "${this.current}", ${pending.length} pending`, ...lines].join(
      "\n",
    );
  }

  private push(event: SimEvent): void {
    const heap = this.heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as SimEvent;
      if (!before(event, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = event;
  }

  private pop(): void {
    const heap = this.heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as SimEvent, heap[child] as SimEvent)) child++;
      if (!before(heap[child] as SimEvent, last)) break;
      heap[at] = heap[child] as SimEvent;
      at = child;
    }
    heap[at] = last;
  }
}
