/**
 * Checks what the compiler and the linter cannot see: who may import whom, cycles, hidden clocks and
 * entropy, asynchrony in the pure layers, the size of files and functions, a README per folder.
 *
 *     npm run tidy            exit 1 and one line per problem
 */
import { isMain, readTree } from "./files.ts";
import { checkFile } from "./tidy/rules.ts";
import type { Problem } from "./tidy/rules.ts";
import { findCycles, findMissing, findUndocumented } from "./tidy/tree.ts";
import type { Tree } from "./tidy/tree.ts";

export { checkFile } from "./tidy/rules.ts";
export type { Problem } from "./tidy/rules.ts";
export { findCycles, findMissing, findUndocumented } from "./tidy/tree.ts";

/** Every problem of a tree of files, by path and line. */
export function checkTree(tree: Tree): readonly Problem[] {
  const problems = [...findCycles(tree), ...findMissing(tree), ...findUndocumented(tree)];
  for (const [path, text] of tree) if (path.endsWith(".ts")) problems.push(...checkFile(path, text));
  return problems.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

export function formatProblem(problem: Problem): string {
  return `${problem.path}:${problem.line}  ${problem.rule}  ${problem.message}`;
}

/** Generated code is judged where it comes from. */
function isOurs(path: string): boolean {
  return !path.includes("/generated/") && (path.endsWith(".ts") || path.endsWith("/README.md"));
}

if (isMain(import.meta.url)) {
  const tree = readTree(["src", "tools", "test", "bench"], isOurs);
  const problems = checkTree(tree);
  for (const problem of problems) console.log(formatProblem(problem));
  console.log(problems.length === 0 ? `tidy: ${tree.size} files, no problem` : `tidy: ${problems.length} problems in ${tree.size} files`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
