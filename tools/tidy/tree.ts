import { importedPath, importsOf } from "./imports.ts";
import { isTest } from "./layers.ts";
import type { Problem } from "./rules.ts";
import { codeOf, scanTokens } from "./tokens.ts";

/** Files of the repository by their paths, with "/". */
export type Tree = ReadonlyMap<string, string>;

/** Who imports whom at run time. Types are erased, so a cycle of types alone does no harm. */
function edgesOf(tree: Tree): ReadonlyMap<string, readonly string[]> {
  const edges = new Map<string, readonly string[]>();
  for (const [path, text] of tree) {
    if (!path.endsWith(".ts")) continue;
    const targets = importsOf(codeOf(scanTokens(text)))
      .filter((found) => !found.typeOnly)
      .map((found) => importedPath(path, found.specifier))
      .filter((target) => target !== undefined && tree.has(target));
    edges.set(path, targets as string[]);
  }
  return edges;
}

/** Each cycle of imports once, named by the file where it was met first. */
export function findCycles(tree: Tree): readonly Problem[] {
  const edges = edgesOf(tree);
  const problems: Problem[] = [];
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    if (done.has(path)) return;
    const start = trail.indexOf(path);
    if (start >= 0) {
      const cycle = [...trail.slice(start), path];
      problems.push({ path, line: 1, rule: "cycle", message: `imports go in a circle: ${cycle.join(" → ")}` });
      return;
    }
    trail.push(path);
    for (const target of edges.get(path) ?? []) visit(target);
    trail.pop();
    done.add(path);
  };
  for (const path of edges.keys()) visit(path);
  return problems;
}

/** Relative imports that name no file. Tests are checked too: vitest would only say so when it runs them. */
export function findMissing(tree: Tree): readonly Problem[] {
  const problems: Problem[] = [];
  for (const [path, text] of tree) {
    if (!path.endsWith(".ts")) continue;
    for (const { specifier, line } of importsOf(codeOf(scanTokens(text)))) {
      const target = importedPath(path, specifier);
      // Generated files are no part of the tree: the compiler misses them.
      if (target === undefined || target.includes("/generated/")) continue;
      if (target.endsWith(".ts") && !tree.has(target)) problems.push({ path, line, rule: "imports", message: `${target} does not exist` });
    }
  }
  return problems;
}

/** Every folder of `src/` that others may enter has a door and a README: its caller's contract. */
export function findUndocumented(tree: Tree): readonly Problem[] {
  const folders = new Set<string>();
  for (const path of tree.keys()) {
    if (!path.startsWith("src/") || !path.endsWith(".ts") || isTest(path)) continue;
    const layer = /^src\/(?:(?:platform|gateway)\/)?[^/]+(?=\/)/.exec(path)?.[0];
    if (layer !== undefined) folders.add(layer);
    if (layer !== undefined && path.endsWith("/index.ts")) folders.add(path.slice(0, -"/index.ts".length));
  }
  return [...folders]
    .filter((folder) => !tree.has(`${folder}/README.md`))
    .sort((a, b) => (a < b ? -1 : 1))
    .map((folder) => ({ path: `${folder}/README.md`, line: 1, rule: "readme", message: "a folder says its contract in a README.md" }));
}
