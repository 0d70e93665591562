import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { pathOf, repository } from "./files.ts";

/** Runs a program of this repository with our terminal; its exit code, or 1 when a signal ended it. */
export function run(program: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: repository, stdio: "inherit", env: { ...process.env, ...environment } });
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}

/** A script of a development dependency, run by this Node. */
export function runTool(name: "vitest" | "tsc" | "biome", args: readonly string[]): Promise<number> {
  const scripts = {
    vitest: "node_modules/vitest/vitest.mjs",
    tsc: "node_modules/typescript/bin/tsc",
    biome: "node_modules/@biomejs/biome/bin/biome",
  };
  return run(process.execPath, [pathOf(scripts[name]), ...args]);
}

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  /** By name. */
  readonly skipped: readonly string[];
}

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numFailedTestSuites: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** What a report of vitest says. A file that could not be loaded has no test that failed, and is a failure all the same. */
export function countTests(report: VitestReport): TestCounts {
  const skipped: string[] = [];
  let brokenFiles = 0;
  for (const file of report.testResults) {
    if (file.status === "failed" && file.assertionResults.every((test) => test.status !== "failed")) brokenFiles++;
    for (const test of file.assertionResults)
      if (["skipped", "pending", "todo", "disabled"].includes(test.status)) skipped.push(test.fullName);
  }
  return { passed: report.numPassedTests, failed: report.numFailedTests + brokenFiles, skipped };
}

/** Runs vitest and counts. A run that dies before it reports is one failure. */
export async function runVitest(args: readonly string[]): Promise<TestCounts> {
  const report = pathOf("dist/tools/vitest.json");
  mkdirSync(dirname(report), { recursive: true });
  rmSync(report, { force: true });
  const code = await runTool("vitest", ["run", ...args, "--reporter=default", "--reporter=json", `--outputFile.json=${report}`]);
  if (!existsSync(report)) return { passed: 0, failed: 1, skipped: [] };
  const counts = countTests(JSON.parse(readFileSync(report, "utf8")) as VitestReport);
  return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}
