import { describe, expect, it } from "vitest";
import { UnumError } from "../base/index.ts";
import type { Machine, MachineFactory } from "../machine/index.ts";
import { DiskError, silentLogger, type Clock } from "../ports/index.ts";
import type { GroupLog, SnapshotFile } from "../storage/index.ts";
import { Installation } from "./installation.ts";
import { loadMachine } from "./snapshots.ts";

/** Time that passes only where a test says so. */
class HandClock {
  nowMs = 0;
  turns = 0;
  readonly timers: (() => void)[] = [];

  get clock(): Clock {
    return {
      now: () => this.nowMs,
      wall: () => this.nowMs,
      after: (_, callback) => {
        this.timers.push(callback);
        return { cancel: () => undefined };
      },
      defer: (callback) => {
        this.turns++;
        queueMicrotask(callback);
      },
      deferLast: (callback) => queueMicrotask(callback),
    };
  }
}

interface Made {
  readonly pushed: number[];
}

const meta = { index: 5, term: 1, configuration: { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false } };

function fileOf(bytes: number, readAll: SnapshotFile["readAll"]): SnapshotFile {
  return { meta, bytes, readAll, read: () => Promise.reject(new Error("nobody reads a part")) };
}

function machines(onPush: () => void = () => undefined): MachineFactory & { readonly made: Made[] } {
  const made: Made[] = [];
  return {
    made,
    create: () => Promise.reject(new Error("no new machine")) as never,
    restore: () => {
      const pushed: number[] = [];
      return {
        push: (chunk) => {
          pushed.push(chunk.length);
          onPush();
        },
        finish: () => {
          made.push({ pushed });
          return { made: made.length } as unknown as Machine;
        },
      };
    },
  };
}

function installing(factory: MachineFactory, hand: HandClock): { installation: Installation; told: string[]; log: GroupLog } {
  const told: string[] = [];
  const log = { group: 1, install: (_file: unknown, _hard: unknown, _keep: unknown, done: () => void) => done() } as unknown as GroupLog;
  const installation = new Installation(
    {
      log,
      stateLoaded: () => told.push("loaded"),
      installed: (_machine, { index }) => told.push(`installed ${index}`),
      fail: (cause) => told.push(`failed: ${String(cause)}`),
    },
    factory,
    { clock: hand.clock, logger: silentLogger },
  );
  return { installation, told, log };
}

const hardState = { term: 1, vote: 0, commit: 5 } as never;

describe("a machine's load", () => {
  it("gives the loop a turn whenever it has taken a while, and none when it is quick", async () => {
    const slow = new HandClock();
    const factory = machines(() => {
      slow.nowMs += 5;
    });
    const file = fileOf(2_000_000, async (visit) => {
      await visit(new Uint8Array(1_000_000));
      await visit(new Uint8Array(1_000_000));
    });
    await loadMachine(file, factory, slow.clock);
    const pieces = factory.made[0]?.pushed ?? [];
    expect(pieces.reduce((sum, length) => sum + length, 0)).toBe(2_000_000);
    expect(slow.turns).toBe(Math.floor(pieces.length / 2));
    const quick = new HandClock();
    await loadMachine(file, machines(), quick.clock);
    expect(quick.turns).toBe(0);
  });
});

describe("an installation", () => {
  it("asks again for a snapshot that the disk could not give, and has no state until it could", async () => {
    const hand = new HandClock();
    const { installation, told } = installing(machines(), hand);
    let failures = 2;
    const file = fileOf(1, () => (failures-- > 0 ? Promise.reject(new DiskError("io", "unreadable")) : Promise.resolve()));
    const loaded = installation.load(file);
    for (let round = 0; round < 2; round++) {
      while (hand.timers.length === 0) await Promise.resolve();
      expect([installation.hasState, installation.isActive, told]).toEqual([false, true, []]);
      hand.timers.pop()?.();
    }
    await loaded;
    expect([installation.hasState, installation.isActive, told]).toEqual([true, false, ["loaded"]]);
  });

  it("P8: of a snapshot that is damaged fails, and is not tried again", async () => {
    const hand = new HandClock();
    const { installation, told } = installing(machines(), hand);
    await installation.load(fileOf(1, () => Promise.reject(new UnumError("CORRUPT", "damaged"))));
    expect(told).toEqual(["failed: UnumError: damaged"]);
    expect([installation.hasState, hand.timers.length]).toEqual([false, 0]);
  });

  it("takes the place of a load that is under way, however that ends", async () => {
    for (const end of ["finishes", "fails"] as const) {
      const hand = new HandClock();
      const { installation, told } = installing(machines(), hand);
      let settle = (): void => undefined;
      const loaded = installation.load(
        fileOf(
          1,
          () =>
            new Promise<void>((resolve, reject) => {
              settle = () => (end === "finishes" ? resolve() : reject(new UnumError("CORRUPT", "damaged")));
            }),
        ),
      );
      installation.offer(fileOf(1, () => Promise.resolve()));
      expect(installation.replaceAll(meta, hardState, () => undefined)).toBe(true);
      while (installation.isActive) await Promise.resolve();
      expect(told).toEqual(["installed 5"]);
      settle();
      await loaded;
      expect([told, installation.hasState]).toEqual([["installed 5"], true]);
    }
  });

  it("is at once where there is no snapshot", async () => {
    const { installation, told } = installing(machines(), new HandClock());
    expect(installation.hasState).toBe(true);
    await installation.load(undefined);
    expect([installation.hasState, installation.isActive, told]).toEqual([true, false, []]);
  });
});
