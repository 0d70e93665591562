/**
 * What the harness may tell a node's process while it runs, in memory that all its threads share: the
 * main thread hears it over IPC, the log's thread must see it without an event loop.
 */
export interface Command {
  /** Correlates the acknowledgement. */
  readonly id: number;
  /** The wall clock stands this far from the true one. */
  readonly wallShiftMs?: number;
  /** So many of the next calls fail with EIO. */
  readonly failWrites?: number;
  readonly failSyncs?: number;
  readonly failReads?: number;
}

export type FailingCall = "failWrites" | "failSyncs" | "failReads";

const words = { sequence: 0, failWrites: 1, failSyncs: 2, failReads: 3, count: 4 } as const;
const bytes = 64;
const shiftAt = 4;

export class Controls {
  readonly shared: SharedArrayBuffer;
  private readonly words: Int32Array;
  private readonly numbers: Float64Array;

  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(bytes)) {
    this.shared = shared;
    this.words = new Int32Array(shared, 0, words.count);
    this.numbers = new Float64Array(shared);
  }

  /** One order for what all threads do to the disk. */
  nextSequence(): number {
    return Atomics.add(this.words, words.sequence, 1) + 1;
  }

  beginAfter(sequence: number): void {
    Atomics.store(this.words, words.sequence, sequence);
  }

  get wallShiftMs(): number {
    return this.numbers[shiftAt] ?? 0;
  }

  take(command: Command): void {
    if (command.wallShiftMs !== undefined) this.numbers[shiftAt] = command.wallShiftMs;
    for (const call of ["failWrites", "failSyncs", "failReads"] as const) {
      const count = command[call];
      if (count !== undefined) Atomics.store(this.words, words[call], count);
    }
  }

  /** Whether this call is one of those that fail. */
  fails(call: FailingCall): boolean {
    if (Atomics.load(this.words, words[call]) <= 0) return false;
    return Atomics.sub(this.words, words[call], 1) > 0;
  }
}
