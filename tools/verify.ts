/**
 * Everything that a change must pass, in the order in which failures come soonest.
 *
 *     npm run verify                    all steps, as `.ci/run` does
 *     npm run verify -- tidy docs       only these
 *
 * Stops at the first failure. The last line counts tests: "N passed, N failed".
 */
import { existsSync } from "node:fs";
import { isMain, pathOf } from "./files.ts";
import { run, runTool, runVitest } from "./run.ts";
import type { TestCounts } from "./run.ts";

export interface StepResult {
  readonly ok: boolean;
  readonly counts?: TestCounts;
}

export interface Step {
  readonly name: string;
  readonly what: string;
  run(): Promise<StepResult>;
}

const node = async (script: string, ...args: string[]): Promise<StepResult> => {
  if (!existsSync(pathOf(script))) {
    console.error(`${script} does not exist`);
    return { ok: false };
  }
  return { ok: (await run(process.execPath, [pathOf(script), ...args])) === 0 };
};
const tool = async (name: "tsc" | "biome", ...args: string[]): Promise<StepResult> => ({ ok: (await runTool(name, args)) === 0 });

const tests = async (...args: string[]): Promise<StepResult> => {
  const counts = await runVitest(args);
  for (const name of counts.skipped) console.log(`skipped: ${name}`);
  // A test that does not run protects nothing: what needs a foreign server or root is a script of its own.
  const skips = process.env["CI"] === undefined ? 0 : counts.skipped.length;
  return { ok: counts.failed + skips === 0, counts };
};

/**
 * Tests with programs that may not be installed. A user's machine need not have them: what is skipped is named, with what to install.
 * CI has installed them before (`.ci/run`): there a skip is a failure like any other.
 */
const foreignTests = async (config: string, packages: string): Promise<StepResult> => {
  const result = await tests("--config", config);
  const skipped = result.counts?.skipped.length ?? 0;
  if (skipped > 0) console.log(`${skipped} tests were skipped for want of programs that are not installed (Debian: ${packages})`);
  return result;
};

export const steps: readonly Step[] = [
  { name: "lint", what: "format and lint", run: () => tool("biome", "ci", "--error-on-warnings", "--colors=off", ".") },
  { name: "build", what: "types and build of every layer", run: () => tool("tsc", "-b") },
  { name: "types", what: "types of tests and tools", run: () => tool("tsc", "-p", "tsconfig.tests.json") },
  { name: "tidy", what: "layers, purity, sizes", run: () => node("dist/tools/tidy.js") },
  { name: "pages", what: "generated pages are current", run: () => node("dist/tools/pages.js", "--check") },
  { name: "package", what: "what npm would publish", run: () => node("dist/tools/package.js") },
  { name: "test", what: "npm test", run: () => tests() },
  { name: "cluster", what: "real processes, killed for real", run: () => tests("--config", "vitest.cluster.config.ts") },
  {
    name: "etcd",
    what: "etcdctl against the gateway, beside a real etcd",
    run: () => foreignTests("vitest.etcd.config.ts", "etcd-server, etcd-client"),
  },
  {
    name: "engines",
    what: "the same handle over real servers of other engines",
    run: () => foreignTests("vitest.engines.config.ts", "etcd-server, etcd-client, zookeeper, default-jre-headless"),
  },
  { name: "docs", what: "examples of README and docs, executed", run: () => node("dist/tools/snippets.js") },
  { name: "sim", what: "fixed seeds of the simulator, and this commit's own", run: () => node("dist/sim/main.js", "--smoke") },
  {
    name: "chaos",
    what: "real processes under faults for twenty seconds",
    run: () => node("dist/test/chaos/main.js", "--minutes", "0.33", "--seed", "1"),
  },
];

export interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly lines: readonly string[];
}

/** Runs the steps until one fails. A step that fails without a test that did counts as one failure. */
export async function runSteps(chosen: readonly Step[], now: () => number, say: (line: string) => void): Promise<Outcome> {
  const lines: string[] = [];
  let passed = 0;
  let failed = 0;
  for (const step of chosen) {
    say(`\n── ${step.name}: ${step.what}`);
    const startedMs = now();
    const result = await step.run();
    passed += result.counts?.passed ?? 0;
    failed += result.ok ? 0 : Math.max(1, result.counts?.failed ?? 1);
    const line = `${result.ok ? "ok    " : "FAILED"}  ${step.name.padEnd(8)} ${((now() - startedMs) / 1000).toFixed(1).padStart(6)} s`;
    lines.push(line);
    say(line);
    if (!result.ok) break;
  }
  return { passed, failed, lines };
}

async function main(): Promise<number> {
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !steps.some((step) => step.name === name));
  if (unknown.length > 0) {
    console.error(`no step ${unknown.join(", ")}; there are ${steps.map((step) => step.name).join(", ")}`);
    return 2;
  }
  const chosen = steps.filter((step) => names.length === 0 || names.includes(step.name));
  const { passed, failed, lines } = await runSteps(
    chosen,
    () => performance.now(),
    (line) => console.log(line),
  );
  console.log(`\n${lines.join("\n")}\n\n${passed} passed, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

if (isMain(import.meta.url)) process.exitCode = await main();
