import { describe, expect, it } from "vitest";
import { Prng, utf8Decode, utf8Encode } from "../base/index.ts";
import type { Files } from "../ports/index.ts";
import { readArguments } from "./arguments.ts";
import { runCommand, smokeJobs } from "./command.ts";
import type { Tools } from "./command.ts";
import { perform } from "./labor.ts";
import type { Laborer } from "./labor.ts";
import { drawPlan } from "./nemesis.ts";

const { result: template } = await perform({ seed: 1, options: { profile: "calm" }, evidence: false });

/** A machine whose files are a map, and whose threads do not run anything: a run fails while they have a "reset" fault and `broken` says so. */
function machine(broken: boolean): { readonly tools: Tools; readonly files: Map<string, string>; readonly said: string[] } {
  const files = new Map<string, string>();
  const said: string[] = [];
  const hire = (): Laborer => ({
    run: async ({ evidence, options, seed }) => {
      const plan = options.plan ?? drawPlan(new Prng(seed).fork("plan"), options.profile, options);
      const fails = broken && plan.faults.some(({ fault }) => fault.kind === "reset");
      const result = { ...template, seed, plan, narrowing: options, violations: fails ? ["12.0 ms: something was reset"] : [] };
      return { result, evidence: evidence ? { history: ["#0 c1 get r0 → nothing"], trace: ["0.000 boot of n1"] } : undefined };
    },
    dismiss: () => undefined,
  });
  const tools: Tools = {
    files: {
      read: async (path: string) => {
        const text = files.get(path);
        return text === undefined ? undefined : utf8Encode(text);
      },
      write: async (path: string, bytes: Uint8Array) => void files.set(path, utf8Decode(bytes)),
    } as unknown as Files,
    commit: "c0ffee00",
    cores: 1,
    hire,
    nowMs: () => 0,
    say: (line) => void said.push(line),
    append: (path, line) => void files.set(path, `${files.get(path) ?? ""}${line}\n`),
  };
  return { tools, files, said };
}

function run(tools: Tools, ...args: string[]): Promise<number> {
  const parsed = readArguments(args);
  if ("mistake" in parsed) throw new Error(parsed.mistake);
  return runCommand(tools, parsed);
}

describe("a campaign", () => {
  it("writes each batch down, goes on from there, and leaves a directory for each failure, made smaller", async () => {
    const { files, said, tools } = machine(true);
    const args = ["--campaign", "--seeds", "2", "--profile", "network", "--nemesis", "reset,clog", "--shrink"];
    expect(await run(tools, ...args)).toBe(1);
    const lines = (files.get(".unum/sim/campaign.jsonl") ?? "").trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ profile: "network", from: 1, count: 2, commit: "c0ffee00", failed: expect.arrayContaining([1]) }),
    ]);
    expect(said).toContain("replay: git checkout c0ffee00 && npm run sim -- --seed 1 --profile network --nemesis clog,reset --trace");
    const smaller = JSON.parse(files.get(".unum/sim/1-network-c0ffee00/smaller/scenario.json") ?? "{}");
    expect(smaller.plan.faults).toHaveLength(1);
    expect(smaller.plan.faults[0].fault.kind).toBe("reset");
    for (const name of ["scenario.json", "result.txt", "history.txt", "trace.txt"])
      expect(files.get(`.unum/sim/1-network-c0ffee00/${name}`)?.length ?? 0).toBeGreaterThan(10);
    await run(tools, "--campaign-restart", "network", "--reason", "resets were mended");
    expect(await run({ ...tools, hire: machine(false).tools.hire }, ...args)).toBe(0);
    expect(
      (files.get(".unum/sim/campaign.jsonl") ?? "")
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
        .at(-1),
    ).toMatchObject({
      from: 3,
      count: 2,
      failed: [],
    });
  });
});

describe("a scenario", () => {
  it("is kept under a name and runs again to the same end", async () => {
    const { files, said, tools } = machine(false);
    expect(await run(tools, "--promote", "some-resets", "--seed", "5", "--profile", "network", "--nemesis", "reset")).toBe(0);
    expect(said.at(-1)).toMatch(/^src\/sim\/scenarios\/some-resets\.json: \d+ faults, it passes$/);
    expect(await run(tools, "--scenario", "src/sim/scenarios/some-resets.json")).toBe(0);
    const again = said.find((line) => line.startsWith("seed 5 passed"));
    expect(await run(tools, "--seed", "5", "--profile", "network", "--nemesis", "reset")).toBe(0);
    expect(said.filter((line) => line === again)).toHaveLength(2);
    expect(files.size).toBe(1);
  });
});

it("a smoke has seeds of every profile, the same ones for everybody, and some of this commit's own", () => {
  const [one, two] = [smokeJobs("0123456789"), smokeJobs("fedcba9876")];
  const common = one.filter(({ options, seed }) => two.some((other) => other.seed === seed && other.options.profile === options.profile));
  expect(common.length).toBeGreaterThan(100);
  expect(one.length).toBe(two.length);
  expect(one.length - common.length).toBeGreaterThan(20);
});
