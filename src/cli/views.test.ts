import { describe, expect, it } from "vitest";
import type { Command } from "commander";
import { Prng } from "../base/index.ts";
import { benchLine } from "./bench/command.ts";
import { completionScript } from "./completion.ts";
import { keyAction } from "./dev/keys.ts";
import { Screen } from "./dev/screen.ts";
import { devLines } from "./dev/table.ts";
import type { DevView, NodeView } from "./dev/table.ts";
import { statusWarnings } from "./commands/cluster.ts";
import { FakeWorld, fakeReport, fakeStatus } from "./fake.golden.ts";
import { Histogram } from "./histogram.ts";
import { colourPaint, fitWidth, formatBytes, formatCount, formatMs, isLively, plainPaint } from "./output.ts";
import { buildProgram } from "./program.ts";
import { closest } from "./suggest.ts";

const leader: NodeView = {
  name: "n1",
  address: "127.0.0.1:7400",
  zone: "a",
  role: "leader",
  colour: "green",
  forMs: undefined,
  term: 2,
  commit: 1204,
  applied: 1204,
  opsPerSecond: 12,
  memoryBytes: 61e6,
};
const none = { term: undefined, commit: undefined, applied: undefined, opsPerSecond: undefined, memoryBytes: undefined };
const view: DevView = {
  header: "unum dev   3 nodes, data .unum/dev, ready in 0.9 s",
  nodes: [
    leader,
    {
      ...leader,
      name: "n2",
      address: "127.0.0.1:7401",
      zone: "b",
      role: "follower",
      colour: undefined,
      opsPerSecond: 0,
      memoryBytes: 58e6,
    },
    { ...leader, ...none, name: "n3", address: "127.0.0.1:7402", zone: "c", role: "down", colour: "red", forMs: 4321 },
  ],
  events: [{ time: "12:03:11", text: "n3 killed; n1 leads, writes paused 0 ms" }],
  keys: true,
  paused: false,
};

describe("the table of unum dev", () => {
  it("looks like this", () => {
    expect(devLines(view, 100, 30, plainPaint).join("\n")).toBe(`\
unum dev   3 nodes, data .unum/dev, ready in 0.9 s
  node  address         zone  role      term  commit  applied  ops/s  memory
  n1    127.0.0.1:7400  a     leader       2    1204     1204     12   61 MB
  n2    127.0.0.1:7401  b     follower     2    1204     1204      0   58 MB
  n3    127.0.0.1:7402  c     down 4 s     -       -        -      -       -
  12:03:11  n3 killed; n1 leads, writes paused 0 ms
  another terminal:  npx unum kv put greeting hello   ·   npx unum status
  k kill the leader   1-3 kill or restart a node   p pause   b bench   q quit`);
  });

  it("never wraps or scrolls a terminal, whatever its size", () => {
    const events = Array.from({ length: 40 }, (_, at) => ({ time: "12:00:00", text: `event ${at} ${"x".repeat(200)}` }));
    for (const rows of [1, 2, 5, 8, 24]) {
      for (const width of [1, 20, 79]) {
        const lines = devLines({ ...view, events }, width, rows, colourPaint);
        expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 1));
        for (const line of lines) expect([...line.replace(/\u001b\[[0-9;]*m/g, "")].length).toBeLessThanOrEqual(width);
      }
    }
  });
});

describe("the screen", () => {
  it("redraws in place, clears what a resize wrapped, and gives the cursor back", () => {
    const world = new FakeWorld();
    const screen = new Screen(world.context().stdout);
    screen.draw(["a", "b"]);
    screen.draw(["c"]);
    screen.resize();
    screen.draw(["d"]);
    screen.close();
    screen.close();
    expect(world.out).toEqual([
      "\u001b[?25la\u001b[K\nb\u001b[K\n\u001b[J",
      "\u001b[2A\rc\u001b[K\n\u001b[J",
      "\u001b[2J\u001b[Hd\u001b[K\n\u001b[J",
      "\u001b[?25h",
    ]);
  });

  it("is used on a terminal only, and not with NO_COLOR", () => {
    const world = new FakeWorld();
    expect(isLively(world.context().stdout, {})).toBe(false);
    world.terminal = true;
    expect(isLively(world.context().stdout, {})).toBe(true);
    expect(isLively(world.context().stdout, { NO_COLOR: "" })).toBe(true);
    expect(isLively(world.context().stdout, { NO_COLOR: "1" })).toBe(false);
    expect(isLively(world.context().stdout, { TERM: "dumb" })).toBe(false);
  });
});

describe("keys", () => {
  it("mean what the help says, and nothing else", () => {
    expect(keyAction("k", 3)).toEqual({ kind: "kill-leader" });
    expect(keyAction("3", 3)).toEqual({ kind: "toggle", at: 2 });
    expect(keyAction("4", 3)).toBeUndefined();
    expect(keyAction("0", 3)).toBeUndefined();
    expect(keyAction("\u0003", 3)).toEqual({ kind: "quit" });
    expect(keyAction("\u001b[A", 3)).toBeUndefined();
  });
});

describe("figures", () => {
  it("are written as people read them", () => {
    expect([
      formatMs(0.754),
      formatMs(4.2),
      formatMs(118.4),
      formatMs(900),
      formatMs(1340),
      formatMs(4000),
      formatMs(61_000),
      formatMs(180_000),
    ]).toEqual(["0.75 ms", "4.2 ms", "118 ms", "900 ms", "1.3 s", "4 s", "61 s", "3 min"]);
    expect([formatCount(7), formatCount(21480), formatCount(1234567)]).toEqual(["7", "21,480", "1,234,567"]);
    expect([formatBytes(512), formatBytes(61e6), formatBytes(1.2e9)]).toEqual(["512 B", "61 MB", "1.2 GB"]);
    expect(benchLine("put", { opsPerSecond: 43210, p50Ms: 2.1, p99Ms: 5.4, maxMs: 12, errors: 0 }, { inflight: 100, valueSize: 256 })).toBe(
      "put  100 in flight, 256 B   43,210/s   p50 2.1 ms   p99 5.4 ms   max 12 ms   0 errors",
    );
  });

  it("are cut to a width that counts no colours", () => {
    expect(fitWidth(colourPaint("red", "abcdef"), 3)).toBe("\u001b[31mabc\u001b[0m");
  });
});

describe("the histogram", () => {
  it("is right to two percent at every quantile, and exact at the maximum", () => {
    const prng = new Prng("histogram");
    const histogram = new Histogram();
    const samples = Array.from({ length: 20_000 }, () => prng.below(1_000_000) / 10 ** prng.between(1, 5));
    for (const ms of samples) histogram.record(ms);
    samples.sort((a, b) => a - b);
    for (const ratio of [0.01, 0.5, 0.9, 0.99, 0.999]) {
      const exact = samples[Math.ceil(ratio * samples.length) - 1] ?? 0;
      expect(Math.abs(histogram.quantileMs(ratio) - exact)).toBeLessThanOrEqual(exact * 0.02 + 0.0001);
    }
    expect(histogram.maxMs).toBe(samples.at(-1));
    expect(histogram.quantileMs(1)).toBe(histogram.maxMs);
  });

  it("says 0 without samples, and takes a week in its stride", () => {
    const histogram = new Histogram();
    expect(histogram.quantileMs(0.5)).toBe(0);
    histogram.record(604_800_000);
    expect(histogram.quantileMs(0.5)).toBe(604_800_000);
  });
});

describe("suggestions", () => {
  it("are made for slips, not for other words", () => {
    const names = ["dev", "demo", "start", "status", "kv"];
    expect([closest("statu", names), closest("sttaus", names), closest("dmeo", names), closest("stat", names)]).toEqual([
      "status",
      "status",
      "demo",
      "start",
    ]);
    expect([closest("kubernetes", names), closest("x", names)]).toEqual([undefined, undefined]);
  });
});

describe("completion", () => {
  const program = buildProgram({ context: new FakeWorld().context(), action: () => async () => undefined });

  it("knows every command and flag of the table in every shell", () => {
    for (const shell of ["bash", "zsh", "fish"] as const) {
      const script = completionScript(program, shell);
      const visit = (command: Command): void => {
        for (const sub of command.commands) {
          expect(script).toContain(sub.name());
          for (const option of sub.options) if (!option.hidden) expect(script).toContain(option.long?.slice(shell === "fish" ? 2 : 0));
          visit(sub);
        }
      };
      visit(program);
      expect(script).not.toContain("stop-with-parent");
    }
  });
});

describe("warnings of the status", () => {
  const warnings = (more: Parameters<typeof fakeReport>[0]): string[] => {
    const status = fakeStatus(3);
    return statusWarnings({
      ...status,
      members: status.members.map((member, i) => (i === 1 ? { ...member, report: fakeReport(more) } : member)),
    });
  };

  it("name the member whose clock is off, and the one whose copy is being replaced", () => {
    expect(warnings({})).toEqual([]);
    expect(warnings({ clockOffsetMs: -1234, declinesLeadership: true })).toEqual([
      "warning: n2 declines leadership: its clock is -1234 ms off the others'",
    ]);
    const [replica] = fakeReport().replicas;
    if (replica === undefined) return expect.unreachable("a report has a replica");
    expect(warnings({ replicas: [{ ...replica, state: "discarded" }] })).toEqual([
      "warning: n2 replaces its copy of default, which was not what the majority has",
    ]);
  });
});
