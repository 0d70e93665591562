import { describe, expect, it } from "vitest";
import { UnumError } from "../../base/index.ts";
import type { Client } from "../client.ts";
import { FakeStore, fastClock } from "../fake.golden.ts";
import { Ledger, demoKey, demoNumber, demoValue } from "./ledger.ts";
import { Meter } from "./meter.ts";
import { Reader } from "./reader.ts";
import { demoPassed, faultLine, resultLines, writingLine } from "./report.ts";
import type { DemoReport } from "./report.ts";
import { verifyThrough } from "./verify.ts";

function clientOf(kv: FakeStore): Client {
  const refused = (): never => {
    throw new UnumError("UNSUPPORTED");
  };
  return {
    kv,
    keyspace: refused,
    status: refused,
    nodeStatus: refused,
    members: refused,
    removeMember: refused,
    transferLeader: refused,
    lock: refused,
    election: refused,
    schedules: refused,
    snapshotSave: refused,
    close: async () => undefined,
  };
}

async function verified(change: (store: FakeStore, ledger: Ledger) => Promise<void>): Promise<Ledger> {
  const ledger = new Ledger(2);
  const store = new FakeStore();
  for (let turn = 0; turn < 2500; turn++) {
    const number = ledger.begin(turn % 2);
    await store.put(demoKey(turn % 2, number), demoValue(turn % 2, number));
    ledger.settle(turn % 2, number, "acknowledged");
  }
  await change(store, ledger);
  await verifyThrough(fastClock(), clientOf(store), ledger, 1000);
  return ledger;
}

describe("the demo's check", () => {
  it("finds nothing wrong when everything is there", async () => {
    const ledger = await verified(async () => undefined);
    expect([ledger.acknowledged, ledger.unknown, ledger.lost, ledger.wrong]).toEqual([2500, 0, 0, 0]);
  });

  it("finds an acknowledged key that is missing, at either end of a page too", async () => {
    const ledger = await verified(async (store) => {
      for (const number of [0, 500, 999, 1000, 1249]) await store.delete(demoKey(1, number));
    });
    expect([ledger.lost, ledger.wrong]).toEqual([5, 0]);
  });

  it("finds a value that is another key's", async () => {
    const ledger = await verified(async (store) => void (await store.put(demoKey(0, 7), demoValue(0, 8))));
    expect([ledger.lost, ledger.wrong]).toEqual([0, 1]);
  });

  it("accepts either result of an unknown write, but not another value", async () => {
    const ledger = await verified(async (store, ledger) => {
      for (const value of [undefined, demoValue(0, 1251), demoValue(1, 0)]) {
        const number = ledger.begin(0);
        ledger.settle(0, number, "unknown");
        if (value !== undefined) await store.put(demoKey(0, number), value);
      }
    });
    expect([ledger.unknown, ledger.lost, ledger.wrong]).toEqual([3, 0, 1]);
  });

  it("finds a refused write that is there after all", async () => {
    const ledger = await verified(async (store, ledger) => {
      const number = ledger.begin(0);
      ledger.settle(0, number, "refused");
      await store.put(demoKey(0, number), demoValue(0, number));
    });
    expect([ledger.refused, ledger.wrong]).toEqual([1, 1]);
  });

  it("counts a key once, whatever the number of nodes that lost it", async () => {
    const ledger = new Ledger(1);
    ledger.settle(0, ledger.begin(0), "acknowledged");
    for (let node = 0; node < 3; node++) await verifyThrough(fastClock(), clientOf(new FakeStore()), ledger, 1000);
    expect(ledger.lost).toBe(1);
  });

  it("does not pass when a node cannot be read", async () => {
    const store = new FakeStore();
    store.range = () => Promise.reject(new UnumError("TIMEOUT"));
    const ledger = new Ledger(1);
    ledger.settle(0, ledger.begin(0), "acknowledged");
    await expect(verifyThrough(fastClock(), clientOf(store), ledger, 1000)).rejects.toThrow("could not be read back");
  });

  it("has keys in the order of their numbers", () => {
    expect(demoKey(3, 9) < demoKey(3, 10)).toBe(true);
    expect(demoNumber(demoKey(3, 123_456))).toBe(123_456);
  });
});

describe("the demo's reader", () => {
  it("counts a revision that is below what a writer was told before the read began", async () => {
    const meter = new Meter(0);
    meter.record(1, 10);
    const store = new FakeStore();
    const revisions = [12, 11, 13, 13];
    store.range = async () => {
      const revision = revisions.shift();
      if (revision === undefined) void reader.stop();
      return { revision: revision ?? 13, entries: [], more: false, count: 0 };
    };
    const reader = new Reader(fastClock(), clientOf(store), meter);
    reader.start();
    while (revisions.length > 0) await new Promise((resolve) => setImmediate(resolve));
    await reader.stop();
    expect(reader.readsBack).toBe(1);
  });
});

describe("the demo's meter", () => {
  it("measures the longest silence since the fault, the present one included", () => {
    const meter = new Meter(0);
    meter.record(500, 1);
    meter.reset(1000);
    for (const now of [1010, 1141, 1150]) meter.record(now, now);
    expect(meter.longestPauseMs(1160)).toBe(131);
    expect(meter.longestPauseMs(2000)).toBe(850);
  });
});

describe("the demo's report", () => {
  const report: DemoReport = {
    acknowledged: 412_337,
    unknown: 3,
    lost: 0,
    wrong: 0,
    readsBack: 0,
    reads: 900,
    nodes: 3,
    fsync: 2,
    writers: 8,
    acknowledgedPerSecond: 21_480,
    seconds: 21.5,
    version: "0.1.0",
    faults: [],
  };

  it("looks like this", () => {
    expect([
      writingLine(21_480, 8, 2, 3),
      faultLine({ kind: "kill-leader", node: "n1", leader: "n2", electionMs: 118.2, pauseMs: 131.4, caughtUpMs: 400 }),
      faultLine({ kind: "kill-all", restartMs: 640, pauseMs: 700 }),
      ...resultLines(report),
    ]).toEqual([
      "  writing     21,480 acknowledged/s, 8 writers, fsync on 2 of 3",
      "  kill -9 n1  (leader)   n2 leads after 118 ms, longest pause 131 ms",
      "  kill -9 all            restarted, 640 ms",
      "  412,337 acknowledged · 3 unknown · 0 lost · 0 wrong",
    ]);
  });

  it("fails for anything lost, wrong or gone back, and for too few writes", () => {
    expect(demoPassed(report)).toBe(true);
    for (const change of [{ lost: 1 }, { wrong: 1 }, { readsBack: 1 }, { acknowledged: 19_999 }])
      expect(demoPassed({ ...report, ...change })).toBe(false);
  });
});
