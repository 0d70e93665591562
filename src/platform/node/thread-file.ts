import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { UnumError } from "../../base/index.ts";

/**
 * A thread's file: beside its caller in a build, under `dist` when the sources run. `path` is relative to the package's `dist`.
 * Throws ENGINE_NOT_FOUND.
 */
export function threadFile(path: string): URL {
  const tried: string[] = [];
  for (const root of ["../../", "../../../dist/"]) {
    try {
      const url = new URL(root + path, import.meta.url);
      const file = fileURLToPath(url);
      if (existsSync(file)) return url;
      tried.push(file);
    } catch {
      // A bundle in another module format has no address of its own.
    }
  }
  const where = tried.length === 0 ? "this bundle does not know where it lies" : `looked for ${tried.join(" and ")}`;
  throw new UnumError(
    "ENGINE_NOT_FOUND",
    `The engine's file ${path} is missing (${where}). Keep the package "unum" out of the bundle, for example with esbuild's --external:unum; in a checkout, run npm run build.`,
  );
}
