/**
 * Checks what `npm publish` would send and what `npm install unum` would bring: the entry points are
 * there, no test or tool is, and nothing in the default tree runs a script or compiles at install time.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { isMain, pathOf, repository } from "./files.ts";

export interface PackedFile {
  readonly path: string;
  readonly mode: number;
}

export interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>;
  readonly scripts?: Readonly<Record<string, string>>;
}

interface LockedPackage {
  readonly dev?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

export interface Lock {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

const needed = ["package.json", "README.md", "LICENSE", "CHANGELOG.md"];
const unwanted: readonly (readonly [RegExp, string])[] = [
  [/^(src|test|tools|bench|docs|\.ci)\//, "belongs to the repository only"],
  [/\.(test|contract|golden)\./, "is a test's"],
  [/^dist\/(tools|bench|snippets|test)\//, "belongs to the repository only"],
  [/tsbuildinfo/, "is the compiler's own"],
  [/(?<!\.d)\.ts$/, "is a source; the build is what is published"],
  [/\.node$/, "is a native module"],
  [/(^|\/)\.unum\//, "is somebody's data"],
];

/** Everything wrong with the list of files. */
export function checkFiles(files: readonly PackedFile[], manifest: Manifest): readonly string[] {
  const problems: string[] = [];
  const paths = new Map(files.map((file) => [file.path, file]));
  const entries = Object.values(manifest.exports).flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry)));
  const programs = Object.values(manifest.bin).map((path) => path.replace(/^\.\//, ""));
  for (const path of [...needed, ...programs, ...entries.map((entry) => entry.replace(/^\.\//, ""))]) {
    if (!paths.has(path)) problems.push(`${path} is missing`);
  }
  for (const path of programs) {
    const file = paths.get(path);
    if (file !== undefined && (file.mode & 0o111) === 0) problems.push(`${path} is not executable`);
  }
  for (const { path } of files) {
    const reason = unwanted.find(([pattern]) => pattern.test(path))?.[1];
    if (reason !== undefined) problems.push(`${path} ${reason}`);
  }
  return problems;
}

/** Everything in the production tree that would run at install time, our own package included. */
export function checkInstall(manifest: Manifest, lock: Lock): readonly string[] {
  const problems: string[] = [];
  for (const name of ["preinstall", "install", "postinstall"]) {
    if (manifest.scripts?.[name] !== undefined) problems.push(`the script ${name} would run at every install`);
  }
  for (const [path, entry] of Object.entries(lock.packages)) {
    if (path !== "" && entry.dev !== true && entry.hasInstallScript === true) problems.push(`${path} has an install script`);
  }
  return problems;
}

/**
 * Everything that the lock names and does not lock. `npm install` leaves out a platform's package that the registry lacks, and
 * then `npm ci` refuses the lock on every machine.
 */
export function checkLock(lock: Lock): readonly string[] {
  const locked = new Set(Object.keys(lock.packages).map((path) => path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)));
  return Object.entries(lock.packages).flatMap(([path, entry]) =>
    Object.keys({ ...entry.dependencies, ...entry.optionalDependencies })
      .filter((name) => !locked.has(name))
      .map((name) => `package-lock.json has no ${name}, which ${path} wants: npm ci will refuse it`),
  );
}

function main(): number {
  const manifest = JSON.parse(readFileSync(pathOf("package.json"), "utf8")) as Manifest;
  const lock = JSON.parse(readFileSync(pathOf("package-lock.json"), "utf8")) as Lock;
  const packed = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: repository,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (packed.status !== 0) {
    console.error(packed.stderr);
    return 1;
  }
  const [list] = JSON.parse(packed.stdout) as { files: PackedFile[]; unpackedSize: number }[];
  const files = list?.files ?? [];
  const problems = [...checkFiles(files, manifest), ...checkInstall(manifest, lock), ...checkLock(lock)];
  for (const problem of problems) console.error(problem);
  const megabytes = ((list?.unpackedSize ?? 0) / 1e6).toFixed(1);
  console.log(
    `package: ${files.length} files, ${megabytes} MB unpacked, ${problems.length === 0 ? "no problem" : `${problems.length} problems`}`,
  );
  return problems.length === 0 ? 0 : 1;
}

if (isMain(import.meta.url)) process.exitCode = main();
