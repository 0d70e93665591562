import { UnumError } from "../../base/index.ts";
import type { CallOptions } from "../basics.ts";
import type { KV } from "../types.ts";
import type { Counter, Sequence } from "./types.ts";

function numberOf(name: string, value: unknown): number {
  if (value === undefined) return 0;
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw new UnumError("DECODE_FAILED", `The entry "${name}" is no whole number, so it is no counter.`);
}

export function openCounter(kv: KV, name: string): Counter {
  return {
    async get(options?: CallOptions): Promise<number> {
      return numberOf(name, (await kv.get(name, options))?.value);
    },
    async add(by = 1, options?: CallOptions): Promise<number> {
      if (!Number.isSafeInteger(by)) throw new UnumError("INVALID_ARGUMENT", `A counter adds whole numbers, not ${String(by)}.`);
      const entry = await kv.update(
        name,
        (value) => {
          const sum = numberOf(name, value) + by;
          if (!Number.isSafeInteger(sum)) throw new UnumError("INVALID_ARGUMENT", `The counter "${name}" would leave the safe integers.`);
          return sum;
        },
        options,
      );
      return numberOf(name, entry?.value);
    },
  };
}

const blockMax = 1_000_000;

/** INVALID_ARGUMENT for a block that is none. */
export function openSequence(kv: KV, name: string, block: number): Sequence {
  if (!Number.isSafeInteger(block) || block < 1 || block > blockMax)
    throw new UnumError("INVALID_ARGUMENT", `block is a whole number from 1 to ${blockMax}, not ${String(block)}.`);
  return new SequenceHandle(openCounter(kv, name), block);
}

/** Invariant: the numbers from `next` to below `end` belong to this handle alone. */
class SequenceHandle implements Sequence {
  private readonly counter: Counter;
  private readonly block: number;
  private upcoming = 1;
  private end = 1;
  private refill: Promise<void> | undefined;

  constructor(counter: Counter, block: number) {
    this.counter = counter;
    this.block = block;
  }

  async next(options?: CallOptions): Promise<number> {
    while (this.upcoming >= this.end) {
      this.refill ??= this.take(options).finally(() => {
        this.refill = undefined;
      });
      await this.refill;
    }
    return this.upcoming++;
  }

  /** A block whose outcome is unknown is never used: a gap, no number twice. */
  private async take(options: CallOptions | undefined): Promise<void> {
    const end = (await this.counter.add(this.block, options)) + 1;
    this.upcoming = end - this.block;
    this.end = end;
  }
}
