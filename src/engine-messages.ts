import type { MessagePort } from "node:worker_threads";
import type { OptionValues } from "./base/index.ts";
import type { Logger } from "./ports/index.ts";
import type { WireError } from "./wire/index.ts";

/** What the engine's thread is started with. */
export interface EngineSetup {
  readonly values: OptionValues<"node">;
  readonly timeout: number | undefined;
  /** One 64-bit number: when the program's thread last said that it is awake, in `threadNowMs`. */
  readonly beat: SharedArrayBuffer;
  readonly maxStallMs: number;
}

/** Program to engine. */
export type ToEngine =
  | { readonly kind: "dial"; readonly port: MessagePort }
  | ({ readonly kind: "keep" } & KeepRequest)
  | { readonly kind: "let-go"; readonly id: number }
  | { readonly kind: "close" };

export interface KeepRequest {
  readonly id: number;
  readonly keyspace: string;
  readonly lease: bigint;
  readonly ttlMs: number;
  readonly renews: boolean;
  /** In `threadNowMs` and since 1970. */
  readonly sentMs: number;
  readonly sentWallMs: number;
  readonly deadlines: SharedArrayBuffer;
}

/** Engine to program. */
export type FromEngine =
  | { readonly kind: "ready"; readonly name: string }
  | { readonly kind: "failed"; readonly error: WireError }
  | {
      readonly kind: "log";
      readonly level: keyof Logger;
      readonly message: string;
      readonly fields: Readonly<Record<string, unknown>> | undefined;
    }
  | { readonly kind: "lost"; readonly id: number; readonly why: string }
  | { readonly kind: "stopped"; readonly error: WireError };

/** The monotonic clock that all threads of a process share: `performance.now()` counts from each thread's own start. */
export function threadNowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

const perMs = 1_000;

/**
 * Until when a lease certainly lasts, by the monotonic clock and by the wall clock, in microseconds. Each is written whole; read between two writes, the
 * pair is one new and one old deadline, and the earlier of both counts.
 */
export class SharedDeadline {
  readonly buffer: SharedArrayBuffer;
  private readonly words: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(16)) {
    this.buffer = buffer;
    this.words = new BigInt64Array(buffer);
  }

  set(nowMs: number, wallMs: number): void {
    Atomics.store(this.words, 0, BigInt(Math.floor(nowMs * perMs)));
    Atomics.store(this.words, 1, BigInt(Math.floor(wallMs * perMs)));
  }

  leftMs(): number {
    const byThread = Number(Atomics.load(this.words, 0)) / perMs - threadNowMs();
    const byWall = Number(Atomics.load(this.words, 1)) / perMs - Date.now();
    return Math.min(byThread, byWall);
  }
}

/** When the program's thread was last awake. */
export class Beat {
  readonly buffer: SharedArrayBuffer;
  private readonly words: BigInt64Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(8)) {
    this.buffer = buffer;
    this.words = new BigInt64Array(buffer);
  }

  strike(): void {
    Atomics.store(this.words, 0, BigInt(Math.floor(threadNowMs() * perMs)));
  }

  silentMs(): number {
    return threadNowMs() - Number(Atomics.load(this.words, 0)) / perMs;
  }
}
