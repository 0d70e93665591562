import { Prng } from "../base/index.ts";
import { drawPlan } from "./nemesis.ts";
import { runSeed } from "./seed.ts";
import type { SeedOptions, SeedResult } from "./seed.ts";

/** A seed to run: plain data, so that a thread of its own can do it. */
export interface Job {
  readonly seed: number;
  readonly options: Omit<SeedOptions, "record" | "historian">;
  /** Whether to write down all that happens, which takes memory and time. */
  readonly evidence: boolean;
}

/** All that happened in a run, a line each. */
export interface Evidence {
  /** What clients asked and were told. */
  readonly history: readonly string[];
  /** Every event. */
  readonly trace: readonly string[];
}

export interface JobResult {
  readonly result: SeedResult;
  readonly evidence: Evidence | undefined;
}

export async function perform(job: Job): Promise<JobResult> {
  if (!job.evidence) return { result: await runSeed(job.seed, job.options), evidence: undefined };
  const trace: string[] = [];
  let history: readonly string[] = [];
  const result = await runSeed(job.seed, {
    ...job.options,
    record: (line) => void trace.push(line),
    historian: (lines) => {
      history = lines;
    },
  });
  return { result, evidence: { history, trace } };
}

/** Somebody who does one job at a time: this thread, or another one. Rejects when it came to no end. */
export interface Laborer {
  run(job: Job): Promise<JobResult>;
  dismiss(): void;
}

/** Does all jobs, as many at a time as there are laborers, and tells of each as it ends. Whoever fails is replaced. */
export async function runAll(
  jobs: Iterable<Job>,
  laborers: number,
  hire: () => Laborer,
  onDone: (done: JobResult, job: Job) => Promise<void> | void,
): Promise<void> {
  const queue = jobs[Symbol.iterator]();
  const work = async (): Promise<void> => {
    let laborer = hire();
    try {
      for (let next = queue.next(); next.done !== true; next = queue.next()) {
        let done: JobResult;
        try {
          done = await laborer.run(next.value);
        } catch (error) {
          laborer.dismiss();
          laborer = hire();
          done = { result: lost(next.value, error), evidence: undefined };
        }
        await onDone(done, next.value);
      }
    } finally {
      laborer.dismiss();
    }
  };
  await Promise.all(Array.from({ length: laborers }, work));
}

/** A run that came to no end is a failure like any other. */
function lost(job: Job, error: unknown): SeedResult {
  const { options, seed } = job;
  return {
    seed,
    plan: options.plan ?? drawPlan(new Prng(seed).fork("plan"), options.profile, options),
    narrowing: { nemeses: options.nemeses, workloads: options.workloads },
    hash: "",
    events: 0,
    virtualMs: 0,
    ok: 0,
    notApplied: 0,
    unknown: 0,
    elections: 0,
    entries: 0,
    revisions: 0,
    faults: new Map(),
    probes: new Map(),
    undecided: 0,
    mix: [],
    steps: [],
    illegal: [],
    violations: [`the run did not end: ${error instanceof Error ? error.message : String(error)}`],
  };
}
