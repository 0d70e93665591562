import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository, wherever this runs from: the sources, or the build in `dist/`. */
export const repository: string = findRepository(dirname(fileURLToPath(import.meta.url)));

function findRepository(from: string): string {
  for (let directory = from; directory !== dirname(directory); directory = dirname(directory)) {
    if (readdirSync(directory).includes("package.json")) return directory;
  }
  throw new Error(`no package.json above ${from}`);
}

/** Whether the module at `url` is the program itself and not imported by another, a test say. */
export function isMain(url: string): boolean {
  return process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(url);
}

/** The text of every file below `folders` whose name `wanted` accepts, by its path from the repository, with "/", in order. */
export function readTree(folders: readonly string[], wanted: (path: string) => boolean): Map<string, string> {
  const tree = new Map<string, string>();
  const walk = (folder: string): void => {
    const entries = readdirSync(join(repository, folder), { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) walk(path);
      else if (wanted(path)) tree.set(path, readFileSync(join(repository, path), "utf8"));
    }
  };
  const present = new Set(readdirSync(repository));
  for (const folder of folders) if (present.has(folder.split("/")[0] ?? folder)) walk(folder);
  return tree;
}

/** A path as this system writes it, under the repository. */
export function pathOf(path: string): string {
  return join(repository, ...path.split("/")).replaceAll("/", sep);
}
