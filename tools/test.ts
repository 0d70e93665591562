/**
 * Runs the tests that need nothing but Node: all of `src/`, the quick parts of `test/`, the tools.
 *
 *     npm test                     everything, after a build
 *     npm test -- raft             one folder of src, or whatever path contains the word
 *     npm test -- raft -t PreVote  with vitest's own options
 *
 * `npm run test:cluster` runs those that start and kill real processes.
 */
import { existsSync } from "node:fs";
import { isMain, pathOf } from "./files.ts";
import { runTool, runVitest } from "./run.ts";

/** A word that names a folder means that folder and no other path that happens to contain the word. */
export function narrow(argument: string, exists: (path: string) => boolean): string {
  if (argument.startsWith("-") || argument.includes("/")) return argument;
  return [`src/${argument}/`, `src/platform/${argument}/`, `test/${argument}/`, `${argument}/`].find(exists) ?? argument;
}

/** The arguments for vitest, and whether they name less than everything. */
export function testArguments(given: readonly string[], exists: (path: string) => boolean): { args: string[]; all: boolean } {
  const args = given.map((argument, at) => (given[at - 1]?.startsWith("-") ? argument : narrow(argument, exists)));
  return { args, all: given.length === 0 };
}

async function main(): Promise<number> {
  const { args, all } = testArguments(process.argv.slice(2), (path) => existsSync(pathOf(path)));
  const built = await runTool("tsc", ["-b"]);
  if (built !== 0) {
    // One folder's tests run from its sources, whatever state the others are in.
    console.error(all ? "the build fails, so the tests do not run" : "the build fails; what the tests take from it is out of date");
    if (all) return 1;
  }
  const { passed, failed, skipped } = await runVitest(args);
  for (const name of skipped) console.log(`skipped: ${name}`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0 && built === 0 && (skipped.length === 0 || process.env["CI"] === undefined) ? 0 : 1;
}

if (isMain(import.meta.url)) process.exitCode = await main();
