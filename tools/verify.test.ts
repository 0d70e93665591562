import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { pathOf } from "./files.ts";
import { countTests } from "./run.ts";
import { testArguments } from "./test.ts";
import { runSteps, steps } from "./verify.ts";
import type { Step, StepResult } from "./verify.ts";

const step = (name: string, result: StepResult, ran: string[]): Step => ({
  name,
  what: name,
  run: () => {
    ran.push(name);
    return Promise.resolve(result);
  },
});

describe("verify", () => {
  it("stops at the first failure and counts it, though no test failed", async () => {
    const ran: string[] = [];
    const good = { ok: true, counts: { passed: 5, failed: 0, skipped: [] } };
    let clock = 0;
    const outcome = await runSteps(
      [step("a", good, ran), step("b", { ok: false }, ran), step("c", good, ran)],
      () => (clock += 500),
      () => undefined,
    );
    expect(ran).toEqual(["a", "b"]);
    expect(outcome).toEqual({ passed: 5, failed: 1, lines: ["ok      a           0.5 s", "FAILED  b           0.5 s"] });
  });

  it("counts the tests that failed, or the step when only skips did", async () => {
    const failing = step("test", { ok: false, counts: { passed: 7, failed: 2, skipped: [] } }, []);
    const skipping = step("test", { ok: false, counts: { passed: 7, failed: 0, skipped: ["x"] } }, []);
    expect(
      await runSteps(
        [failing],
        () => 0,
        () => undefined,
      ),
    ).toMatchObject({ passed: 7, failed: 2 });
    expect(
      await runSteps(
        [skipping],
        () => 0,
        () => undefined,
      ),
    ).toMatchObject({ passed: 7, failed: 1 });
  });

  it("has the steps that CONTRIBUTING names", () => {
    const text = readFileSync(pathOf("CONTRIBUTING.md"), "utf8");
    for (const { name } of steps) expect(text).toContain(`| \`${name}\` |`);
  });
});

describe("countTests", () => {
  const file = (
    status: string,
    ...tests: string[]
  ): { name: string; status: string; assertionResults: { fullName: string; status: string }[] } => ({
    name: "a.test.ts",
    status,
    assertionResults: tests.map((test, at) => ({ fullName: `test ${at}`, status: test })),
  });

  it("counts a file that could not be loaded as a failure", () => {
    const report = {
      numPassedTests: 1,
      numFailedTests: 1,
      numFailedTestSuites: 2,
      testResults: [file("failed"), file("failed", "failed"), file("passed", "passed")],
    };
    expect(countTests(report)).toEqual({ passed: 1, failed: 2, skipped: [] });
  });

  it("names what was skipped", () => {
    const report = {
      numPassedTests: 1,
      numFailedTests: 0,
      numFailedTestSuites: 0,
      testResults: [file("passed", "passed", "skipped", "todo")],
    };
    expect(countTests(report).skipped).toEqual(["test 1", "test 2"]);
  });
});

describe("npm test", () => {
  const folders = new Set(["src/raft/", "src/platform/node/", "test/cluster/", "tools/"]);
  const args = (...given: string[]): string[] => testArguments(given, (path) => folders.has(path)).args;

  it("takes a folder's name for the folder, not for every path that contains it", () => {
    expect(args("raft", "node", "tools")).toEqual(["src/raft/", "src/platform/node/", "tools/"]);
    expect(args("src/raft/log.test.ts", "quorum")).toEqual(["src/raft/log.test.ts", "quorum"]);
  });

  it("leaves vitest's own options alone, with their values", () => {
    expect(args("raft", "-t", "raft")).toEqual(["src/raft/", "-t", "raft"]);
  });

  it("runs everything when nothing is named", () => {
    expect(testArguments([], () => true)).toEqual({ args: [], all: true });
  });
});
