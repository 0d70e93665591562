import type { Clock, Timer } from "../../ports/index.ts";

/**
 * The loop's own time is cut to milliseconds, so that a timeout may come a little early, and the timer, which may not,
 * would wake the process twice. What takes long gets the rest of a millisecond in addition.
 */
const slackFromMs = 20;
/** `setTimeout` takes no longer delay; a timer that is due later is armed again on the way. */
const armMsMax = 2 ** 30;

interface Entry {
  readonly dueMs: number;
  readonly sequence: number;
  /** Undefined once it has fired or was cancelled. */
  callback: (() => void) | undefined;
}

function before(a: Entry, b: Entry): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.sequence < b.sequence);
}

/**
 * The operating system's time. All timers of a clock stand in one heap behind one `setTimeout`, so
 * that they fire in the order of their due times and never early (the loop's own time is cut to
 * milliseconds); all callbacks deferred in a turn share one `setImmediate`, first those of `defer`, then those of `deferLast`.
 *
 * Invariants: `live` entries of `heap` have a callback; the timeout is armed, for `armedMs`, exactly
 * while `live` is not 0, and no live entry is due before it.
 */
export class NodeClock implements Clock {
  private readonly keepsProcess: boolean;
  private heap: Entry[] = [];
  private live = 0;
  private sequence = 0;
  private timeout: NodeJS.Timeout | undefined;
  private armedMs = Number.POSITIVE_INFINITY;
  private deferred: (() => void)[] = [];
  private last: (() => void)[] = [];
  private immediate = false;
  /** The deferred callbacks run; those of `last` follow at once. */
  private gathering = false;

  /** `ref: false`: waiting timers do not keep the process alive. */
  constructor(options: { readonly ref?: boolean } = {}) {
    this.keepsProcess = options.ref ?? true;
  }

  now(): number {
    return performance.now();
  }

  wall(): number {
    return Date.now();
  }

  after(delayMs: number, callback: () => void): Timer {
    const entry: Entry = { dueMs: performance.now() + Math.max(0, delayMs), sequence: this.sequence++, callback };
    this.push(entry);
    this.live++;
    if (entry.dueMs < this.armedMs) this.arm();
    return { cancel: () => this.cancel(entry) };
  }

  defer(callback: () => void): void {
    this.deferred.push(callback);
    this.wantImmediate();
  }

  deferLast(callback: () => void): void {
    this.last.push(callback);
    if (!this.gathering) this.wantImmediate();
  }

  private wantImmediate(): void {
    if (this.immediate) return;
    this.immediate = true;
    setImmediate(this.runDeferred);
  }

  private readonly runDeferred = (): void => {
    this.immediate = false;
    const first = this.deferred;
    this.deferred = [];
    let last: (() => void)[] = [];
    let firstAt = 0;
    let lastAt = 0;
    this.gathering = true;
    try {
      while (firstAt < first.length) (first[firstAt++] as () => void)();
      this.gathering = false;
      last = this.last;
      this.last = [];
      while (lastAt < last.length) (last[lastAt++] as () => void)();
    } finally {
      this.gathering = false;
      // One that throws must not swallow those behind it.
      if (firstAt < first.length) this.deferred = [...first.slice(firstAt), ...this.deferred];
      if (lastAt < last.length) this.last = [...last.slice(lastAt), ...this.last];
      if (this.deferred.length > 0 || this.last.length > 0) this.wantImmediate();
    }
  };

  private cancel(entry: Entry): void {
    if (entry.callback === undefined) return;
    entry.callback = undefined;
    this.live--;
    if (this.live === 0) {
      this.heap = [];
      this.disarm();
    } else if (this.heap.length > 64 && this.live < this.heap.length / 2) {
      this.heap = this.heap.filter((kept) => kept.callback !== undefined).sort((a, b) => (before(a, b) ? -1 : 1));
    }
  }

  private disarm(): void {
    clearTimeout(this.timeout);
    this.timeout = undefined;
    this.armedMs = Number.POSITIVE_INFINITY;
  }

  private arm(): void {
    clearTimeout(this.timeout);
    this.armedMs = (this.heap[0] as Entry).dueMs;
    const leftMs = Math.max(1, Math.ceil(this.armedMs - performance.now()));
    const delayMs = Math.min(armMsMax, leftMs > slackFromMs ? leftMs + 1 : leftMs);
    this.timeout = setTimeout(this.fire, delayMs);
    if (!this.keepsProcess) this.timeout.unref();
  }

  private readonly fire = (): void => {
    this.armedMs = Number.POSITIVE_INFINITY;
    this.timeout = undefined;
    const now = performance.now();
    try {
      for (let first = this.heap[0]; first !== undefined && (first.callback === undefined || first.dueMs <= now); first = this.heap[0]) {
        this.pop();
        const callback = first.callback;
        if (callback === undefined) continue;
        first.callback = undefined;
        this.live--;
        callback();
      }
    } finally {
      if (this.live > 0 && (this.heap[0] as Entry).dueMs < this.armedMs) this.arm();
      else if (this.live === 0) this.disarm();
    }
  };

  private push(entry: Entry): void {
    const heap = this.heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as Entry;
      if (!before(entry, parent)) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = entry;
  }

  private pop(): void {
    const heap = this.heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Entry, heap[child] as Entry)) child++;
      if (!before(heap[child] as Entry, last)) break;
      heap[at] = heap[child] as Entry;
      at = child;
    }
    heap[at] = last;
  }
}
