import { describe, expect, it } from "vitest";
import type { Clock } from "../../../ports/index.ts";
import { silentLogger } from "../../../ports/index.ts";
import { AutoCompactor } from "./compactor.ts";
import type { CompactionTerms } from "./compactor.ts";

/** A clock that stands still between steps, and a store whose revision the test says. */
class Bench {
  nowMs = 0;
  revision = 1;
  leads = true;
  readonly compactions: number[] = [];
  private due: { atMs: number; callback: () => void } | undefined;
  readonly compactor: AutoCompactor;

  constructor(terms: CompactionTerms) {
    const clock: Clock = {
      now: () => this.nowMs,
      wall: () => this.nowMs,
      after: (delayMs, callback) => {
        this.due = { atMs: this.nowMs + delayMs, callback };
        return { cancel: () => (this.due = undefined) };
      },
      defer: (callback) => queueMicrotask(callback),
      deferLast: (callback) => queueMicrotask(callback),
    };
    const kv = {
      leader: { node: "1", term: 1 },
      query: async () => this.revision,
      command: async (command: { readonly revision: number }) => this.compactions.push(command.revision),
    };
    const handle = { nodeStatus: async () => ({ node: this.leads ? "1" : "2" }) };
    this.compactor = new AutoCompactor({ clock, kv, handle, logger: silentLogger } as never, terms);
    this.compactor.start();
  }

  /** Ten puts a minute. */
  async run(minutes: number): Promise<void> {
    const endMs = this.nowMs + minutes * 60_000;
    for (let { due } = this; due !== undefined && due.atMs <= endMs; due = this.due) {
      this.nowMs = due.atMs;
      this.revision = 1 + Math.floor(this.nowMs / 6_000);
      this.due = undefined;
      due.callback();
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.nowMs = endMs;
  }
}

describe("automatic compaction", () => {
  it("with a period keeps what is younger, and compacts once per period", async () => {
    const bench = new Bench({ mode: "periodic", retentionMs: 600_000 });
    await bench.run(10);
    expect(bench.compactions).toEqual([]);
    await bench.run(22);
    // At 11, 21 and 31 minutes, to what was there ten minutes before.
    expect(bench.compactions).toEqual([11, 111, 211]);
    await bench.run(200);
    expect(bench.compactions).toHaveLength(23);
  });

  it("with hours compacts every hour", async () => {
    const bench = new Bench({ mode: "periodic", retentionMs: 3 * 3_600_000 });
    await bench.run(180);
    expect(bench.compactions).toEqual([]);
    await bench.run(130);
    expect(bench.compactions.length).toBeGreaterThanOrEqual(2);
    const [first = 0, second = 0] = bench.compactions;
    expect(second - first).toBe(600);
  });

  it("with a number keeps so many revisions", async () => {
    const bench = new Bench({ mode: "revision", revisions: 20 });
    await bench.run(11);
    expect(bench.compactions).toEqual([31, 81]);
  });

  it("is the leader's, and goes on where leadership goes", async () => {
    const bench = new Bench({ mode: "revision", revisions: 20 });
    bench.leads = false;
    await bench.run(11);
    expect(bench.compactions).toEqual([]);
    bench.leads = true;
    await bench.run(5);
    expect(bench.compactions).toEqual([131]);
    bench.compactor.close();
    await bench.run(60);
    expect(bench.compactions).toEqual([131]);
  });
});
