import { utf8Decode } from "../base/index.ts";
import type { Files } from "../ports/index.ts";
import { helpText } from "./arguments.ts";
import type { SimArguments } from "./arguments.ts";
import { countOf, describeCampaign, describeUnreached, nextBatch, parseCampaign, probesOf } from "./campaign.ts";
import type { CampaignLine } from "./campaign.ts";
import { describeDifference, findDifference } from "./determinism.ts";
import { shrinkFailure, unwrap } from "./gift.ts";
import { perform, runAll } from "./labor.ts";
import type { Job, Laborer } from "./labor.ts";
import { profileNames } from "./profile.ts";
import { describeResult, describeTotals } from "./report.ts";
import { readScenario, scenarioPath, writeScenario } from "./scenario.ts";
import type { Scenario } from "./scenario.ts";
import { runSeed } from "./seed.ts";
import type { SeedOptions, SeedResult } from "./seed.ts";

/** What the simulator's command needs of the machine that it runs on. */
export interface Tools {
  readonly files: Files;
  /** Of the source, 40 hex digits; "" when it is not known. */
  readonly commit: string;
  readonly cores: number;
  /** A thread of its own. */
  hire(): Laborer;
  nowMs(): number;
  say(line: string): void;
  /** Adds a line to a file, at once. */
  append(path: string, line: string): void;
}

/** Where failures and campaigns are kept. */
const root = ".unum/sim";
const campaignPath = `${root}/campaign.jsonl`;
const campaignBatch = 50;

/** From so many seeds on it is worth saying what they did not reach. */
const manySeeds = 100;
/** Fixed seeds: many of everything, some of each profile. */
const smokeSwarm = 80;
const smokeEach = 10;
/** And some that no commit before this one had. */
const smokeOwn = 40;

/** Runs what the arguments say. The exit code: 0, or 1 when something failed. */
export async function runCommand(tools: Tools, args: SimArguments): Promise<number> {
  switch (args.mode) {
    case "seeds":
      return args.checkDeterminism ? compareSeeds(tools, args) : runSeeds(tools, args, seedJobs(args));
    case "smoke":
      return runSeeds(tools, args, smokeJobs(tools.commit));
    case "scenario": {
      const { plan, seed } = await readScenario(tools.files, args.scenario);
      return runSeeds(tools, args, [{ seed, options: { plan }, evidence: false }]);
    }
    case "promote":
      return promote(tools, args);
    case "campaign":
      return campaign(tools, args);
    case "campaign-report":
      return report(tools, await readCampaign(tools), profileNames);
    case "help":
      tools.say(helpText());
      return 0;
    case "campaign-restart":
      tools.append(campaignPath, JSON.stringify({ restart: args.restart, commit: tools.commit, reason: args.reason }));
      return 0;
  }
}

function seedJobs({ count, first, nemeses, profile, workloads }: SimArguments): Job[] {
  return Array.from({ length: count }, (_, i) => ({ seed: first + i, options: { profile, nemeses, workloads }, evidence: false }));
}

export function smokeJobs(commit: string): Job[] {
  const jobs = (profile: string, first: number, count: number): Job[] =>
    Array.from({ length: count }, (_, i) => ({ seed: first + i, options: { profile }, evidence: false }));
  // 28 bits of the commit's name: seeds far away from those that everybody runs.
  const own = commit === "" ? 0 : Number.parseInt(commit.slice(0, 7), 16);
  return [
    ...jobs("swarm", 1, smokeSwarm),
    ...profileNames.filter((name) => name !== "swarm").flatMap((name) => jobs(name, 1, smokeEach)),
    ...jobs("swarm", 1_000_000 + own, smokeOwn),
  ];
}

async function runSeeds(tools: Tools, args: SimArguments, jobs: readonly Job[]): Promise<number> {
  const { say } = tools;
  const startedMs = tools.nowMs();
  const results: SeedResult[] = [];
  const laborers = Math.min(args.trace ? 1 : args.jobs || tools.cores, jobs.length);
  const hire = laborers <= 1 ? () => here(args.trace ? say : undefined) : () => tools.hire();
  const probes = new Map<string, number>();
  const gifts: { readonly job: Job; readonly result: SeedResult }[] = [];
  await runAll(jobs, Math.max(1, laborers), hire, ({ result }, job) => {
    results.push(result);
    count(probes, result.probes);
    const failed = result.violations.length > 0;
    if (failed || jobs.length === 1) say(describeResult(result));
    if (failed) gifts.push({ job, result });
  });
  for (const { job, result } of gifts.sort((a, b) => a.result.seed - b.result.seed)) await examine(tools, args, job, result);
  say(describeTotals(results, tools.nowMs() - startedMs));
  if (jobs.length >= manySeeds) say(describeUnreached(probes));
  return gifts.length > 0 ? 1 : 0;
}

async function examine({ commit, files, hire, say }: Tools, { shrink }: SimArguments, job: Job, failed: SeedResult): Promise<void> {
  const laborer = hire();
  try {
    await unwrap(job, failed, laborer, { files, commit, root, shrink, say });
  } finally {
    laborer.dismiss();
  }
}

/** This thread. With `record` every event is a line. */
function here(record?: (line: string) => void): Laborer {
  return {
    run: async (job) =>
      record === undefined ? perform(job) : { result: await runSeed(job.seed, { ...job.options, record }), evidence: undefined },
    dismiss: () => undefined,
  };
}

async function compareSeeds(tools: Tools, args: SimArguments): Promise<number> {
  let differences = 0;
  for (const { options, seed } of seedJobs(args)) {
    const run = (record?: SeedOptions["record"]): Promise<SeedResult> => runSeed(seed, { ...options, record });
    const difference = await findDifference((await run()).hash, run);
    if (difference === undefined) continue;
    differences++;
    tools.say(`seed ${seed} is not deterministic: ${describeDifference(difference)}`);
  }
  tools.say(
    `${args.count} seeds, each run twice, ${differences === 0 ? "did the same to the last event" : `${differences} of them differ`}`,
  );
  return differences === 0 ? 0 : 1;
}

/** Makes a permanent test of a run: of a scenario as it is, of a seed that fails its smallest plan. */
async function promote(tools: Tools, args: SimArguments): Promise<number> {
  const { commit, files, say } = tools;
  const path = scenarioPath(args.name);
  let scenario: Scenario;
  if (args.scenario !== "") scenario = await readScenario(files, args.scenario);
  else {
    const [job] = seedJobs({ ...args, count: 1 });
    if (job === undefined) return 1;
    const { result } = await perform(job);
    const failed = result.violations.length > 0;
    const plan = failed ? (await shrinkFailure(result, here())).plan : result.plan;
    scenario = { seed: job.seed, plan, commit, violations: result.violations };
  }
  await writeScenario(files, path, scenario);
  say(`${path}: ${scenario.plan.faults.length} faults, ${scenario.violations[0] ?? "it passes"}`);
  return 0;
}

function count(into: Map<string, number>, reached: ReadonlyMap<string, number>): void {
  for (const [name, times] of reached) into.set(name, (into.get(name) ?? 0) + times);
}

async function readCampaign({ files }: Tools): Promise<CampaignLine[]> {
  const bytes = await files.read(campaignPath);
  return bytes === undefined ? [] : parseCampaign(utf8Decode(bytes));
}

/** Runs batches until every profile has its share, writing each down: stopped at any moment, it goes on from there. */
async function campaign(tools: Tools, args: SimArguments): Promise<number> {
  const profiles = args.profile === "swarm" ? profileNames : [args.profile];
  const lines = await readCampaign(tools);
  for (;;) {
    const next = nextBatch(lines, profiles, args.count, campaignBatch);
    if (next === undefined) break;
    const startedMs = tools.nowMs();
    const failed: number[] = [];
    const probes = new Map<string, number>();
    const jobs = seedJobs({ ...args, first: next.from, count: next.count, profile: next.profile });
    await runAll(
      jobs,
      Math.min(args.jobs || tools.cores, jobs.length),
      () => tools.hire(),
      async ({ result }, job) => {
        count(probes, result.probes);
        if (result.violations.length === 0) return;
        failed.push(result.seed);
        tools.say(describeResult(result));
        await examine(tools, args, job, result);
      },
    );
    const line: CampaignLine = {
      ...next,
      commit: tools.commit,
      failed: failed.sort((a, b) => a - b),
      realMs: Math.round(tools.nowMs() - startedMs),
      probes: Object.fromEntries(probes),
    };
    lines.push(line);
    tools.append(campaignPath, JSON.stringify(line));
    tools.say(
      `${next.profile} ${next.from} to ${next.from + next.count - 1}: ${failed.length === 0 ? "passed" : `${failed.length} failed`}, ${countOf(lines, next.profile).seeds} seeds so far`,
    );
  }
  return report(tools, lines, profiles);
}

function report({ say }: Tools, lines: readonly CampaignLine[], profiles: readonly string[]): number {
  say(describeCampaign(lines, profiles));
  say(describeUnreached(probesOf(lines)));
  return profiles.some((profile) => countOf(lines, profile).failed.length > 0) ? 1 : 0;
}
