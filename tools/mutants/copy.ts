import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathOf } from "../files.ts";
import { mutate } from "./mutant.ts";
import type { Mutant } from "./mutant.ts";

/** Everything that a simulated cluster runs. */
const folders = ["base", "ports", "raft", "machine", "wire", "storage", "replica", "runtime", "api", "gateway", "platform", "sim"] as const;

/** A build of the whole program in a folder of its own, so that building anew meanwhile changes nothing in it. */
export interface Copy {
  readonly folder: string;
  remove(): void;
}

/** Of the build in `dist/`, with the mutant's own file made anew; without a mutant as it is. */
export function makeCopy(mutant?: Mutant): Copy {
  const home = pathOf("dist/.mutants");
  mkdirSync(home, { recursive: true });
  const folder = mkdtempSync(join(home, `${mutant?.name ?? "faultless"}-`));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const isCode = (path: string): boolean => !/\.(map|d\.ts|tsbuildinfo)$/.test(path);
  try {
    for (const name of folders) cpSync(pathOf(`dist/${name}`), join(folder, name), { recursive: true, filter: isCode });
    if (mutant !== undefined) compile(mutant.file, mutate(mutant, readFileSync(pathOf(mutant.file), "utf8")), folder);
  } catch (error) {
    remove();
    throw error;
  }
  return { folder, remove };
}

/** Puts the compiled file in its place. Types are not looked at: a fault may leave a name unused. */
function compile(path: string, source: string, folder: string): void {
  const sources = join(folder, "src");
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, source);
  const options = ["--ignoreConfig", "--noCheck", "--noResolve", "--target", "es2022", "--module", "nodenext"];
  const rewriting = ["--verbatimModuleSyntax", "--rewriteRelativeImportExtensions", "--rootDir", sources, "--outDir", folder];
  const compiler = pathOf("node_modules/typescript/bin/tsc");
  const { status, stderr, stdout } = spawnSync(process.execPath, [compiler, ...options, ...rewriting, file], { encoding: "utf8" });
  if (status !== 0) throw new Error(`${path} with its fault does not compile: ${stdout}${stderr}`);
}
