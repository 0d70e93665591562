import { describe, expect, it } from "vitest";
import { checkFiles, checkInstall, checkLock } from "./package.ts";

const manifest = {
  bin: { unum: "bin/unum.js" },
  exports: { ".": { types: "./dist/index.d.ts", default: "./dist/index.js" }, "./testing": "./dist/testing.js" },
};
const right = [
  "package.json",
  "README.md",
  "LICENSE",
  "CHANGELOG.md",
  "bin/unum.js",
  "dist/index.d.ts",
  "dist/index.js",
  "dist/testing.js",
];
const files = (paths: readonly string[], mode = 0o755): { path: string; mode: number }[] => paths.map((path) => ({ path, mode }));

describe("the package", () => {
  it("passes with its entry points and nothing else", () => {
    expect(checkFiles(files(right), manifest)).toEqual([]);
  });

  it.each(right)("fails without %s", (path) => {
    expect(checkFiles(files(right.filter((other) => other !== path)), manifest)).toEqual([`${path} is missing`]);
  });

  it("fails when npx could not run the program", () => {
    expect(checkFiles(files(right, 0o644), manifest)).toEqual(["bin/unum.js is not executable"]);
  });

  it.each([
    "src/index.ts",
    "dist/raft/raft.test.js",
    "dist/tools/tidy.js",
    "dist/base/.tsbuildinfo",
    "dist/a.ts",
    "dist/a.node",
    ".unum/dev/wal",
  ])("fails with %s", (path) => {
    expect(checkFiles(files([...right, path]), manifest)).toHaveLength(1);
  });

  it("fails when an install would run a script, ours or of a dependency", () => {
    const lock = {
      packages: { "": {}, "node_modules/a": { hasInstallScript: true }, "node_modules/b": { hasInstallScript: true, dev: true } },
    };
    expect(checkInstall(manifest, lock)).toEqual(["node_modules/a has an install script"]);
    expect(checkInstall({ ...manifest, scripts: { postinstall: "x", prepare: "y" } }, { packages: {} })).toEqual([
      "the script postinstall would run at every install",
    ]);
  });

  it("fails when npm ci would refuse the lock", () => {
    const a = { optionalDependencies: { "@a/linux": "1", "@a/darwin": "1" }, dependencies: { b: "2" } };
    const packages = { "": {}, "node_modules/a": a, "node_modules/@a/linux": {}, "node_modules/a/node_modules/b": {} };
    expect(checkLock({ packages })).toEqual(["package-lock.json has no @a/darwin, which node_modules/a wants: npm ci will refuse it"]);
  });
});
