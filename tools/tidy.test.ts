import { describe, expect, it } from "vitest";
import { checkFile, checkTree, findCycles, findMissing, findUndocumented, formatProblem } from "./tidy.ts";
import { functionsOf } from "./tidy/functions.ts";
import { importsOf } from "./tidy/imports.ts";
import { codeOf, scanTokens } from "./tidy/tokens.ts";

/** The rules that `text` breaks at `path`, as "rule@line". */
const broken = (path: string, text: string): string[] => checkFile(path, text).map((problem) => `${problem.rule}@${problem.line}`);

describe("imports", () => {
  it.each([
    ["a lower layer imports a higher one", "src/raft/a.ts", 'import { b } from "../runtime/index.ts";'],
    ["a pure layer imports a sibling", "src/raft/a.ts", 'import { b } from "../machine/index.ts";'],
    ["base imports anything", "src/base/a.ts", 'import { b } from "../ports/index.ts";'],
    ["an edge reaches below api", "src/cli/a.ts", 'import { b } from "../storage/index.ts";'],
    ["an edge reaches below api for a type", "src/cli/a.ts", 'import type { b } from "../wire/index.ts";'],
    ["a nested file reaches below api", "src/cli/commands/a.ts", 'import { b } from "../../raft/index.ts";'],
    ["the simulator imports the platform", "src/sim/a.ts", 'import { b } from "../platform/node/index.ts";'],
    ["the platform imports the engine", "src/platform/node/a.ts", 'import { b } from "../../runtime/index.ts";'],
    ["a door re-exports what its layer may not know", "src/api/index.ts", 'export { b } from "../raft/index.ts";'],
    ["an import hides in a type", "src/raft/a.ts", 'let a: import("../machine/index.ts").B;'],
    ["an import is made at run time", "src/raft/a.ts", 'f(() => import("../machine/index.ts"));'],
    ["api takes a value from ports", "src/api/a.ts", 'import { silentLogger } from "../ports/index.ts";'],
    ["api mixes a value among types from ports", "src/api/a.ts", 'import { type Clock, silentLogger } from "../ports/index.ts";'],
    ["wire takes code from raft", "src/wire/a.ts", 'import { Raft } from "../raft/index.ts";'],
    ["a layer imports a root", "src/cli/a.ts", 'import { b } from "../index.ts";'],
    ["a layer imports a tool", "src/base/a.ts", 'import { b } from "../../tools/golden.ts";'],
    ["a layer imports a test", "src/storage/a.ts", 'import { b } from "../ports/disk.contract.ts";'],
    ["an import goes past a door", "src/runtime/a.ts", 'import { b } from "../raft/log.ts";'],
    ["an import goes past the door of commands", "src/api/a.ts", 'import { b } from "../machine/commands/kinds.ts";'],
    ["an import forgets the file's name", "src/runtime/a.ts", 'import { b } from "../raft";'],
  ])("fails when %s", (_, path, text) => {
    expect(broken(path, text).filter((rule) => rule !== "state@1")).toEqual(["imports@1"]);
  });

  it.each([
    ["src/raft/a.ts", 'import { b } from "../base/index.ts";'],
    ["src/raft/deep/a.ts", 'import { b } from "../log.ts";'],
    ["src/wire/a.ts", 'import { EntryKind } from "../raft/types.ts";'],
    ["src/wire/a.ts", 'import type { Raft } from "../raft/index.ts";'],
    ["src/api/a.ts", 'import type { Clock } from "../ports/index.ts";'],
    ["src/api/a.ts", 'import { type Clock, type Logger } from "../ports/index.ts";'],
    ["src/api/a.ts", 'import { encodePut } from "../machine/commands/index.ts";'],
    ["src/machine/a.ts", 'import { encodePut } from "./commands/kinds.ts";'],
    ["src/index.ts", 'import { b } from "./platform/node/index.ts";\nimport { c } from "./runtime/node.ts";'],
    ["src/cli/main.ts", 'import { b } from "../runtime/index.ts";\nimport { join } from "node:path";'],
    ["src/raft/a.test.ts", 'import { b } from "../sim/index.ts";\nimport { crc32 } from "node:zlib";'],
  ])("lets %s say %s", (path, text) => {
    expect(broken(path, text)).toEqual([]);
  });

  it("fails when anything but the platform imports node:*", () => {
    expect(broken("src/storage/a.ts", 'import { open } from "node:fs";')).toEqual(["node@1"]);
    expect(broken("src/storage/a.ts", 'import type { Stats } from "node:fs";')).toEqual(["node@1"]);
    expect(broken("src/platform/node/a.ts", 'import { open } from "node:fs";')).toEqual([]);
    expect(broken("tools/a.ts", 'import { open } from "node:fs";')).toEqual([]);
  });

  it("fails when a folder imports a package that is not its own", () => {
    expect(broken("src/api/a.ts", 'import { Command } from "commander";')).toEqual(["package@1"]);
    expect(broken("src/cli/a.ts", 'import { Command } from "commander";')).toEqual([]);
  });

  it("takes no text for an import", () => {
    expect(
      broken("src/base/a.ts", '// import { b } from "../raft/index.ts";\nconst text = `import { b } from "../raft/index.ts"`;'),
    ).toEqual([]);
    const found = importsOf(codeOf(scanTokens('export const a = "from"; export function f(): void {}\nexport * from "./b.ts";')));
    expect(found).toEqual([{ specifier: "./b.ts", typeOnly: false, line: 2 }]);
  });
});

describe("pure layers", () => {
  it.each([
    "const now = Date.now();",
    "const now = new Date(0);",
    "async function work(): void {}",
    "const work = async () => 1;",
    "export function work(): Promise<void> {}",
    "for await (const a of b) {}",
    "setTimeout(work, 1);",
    "queueMicrotask(work);",
    "const later = globalThis.setTimeout;",
    "const text = `${Date.now()}`;",
  ])("fail with %s", (text) => {
    for (const folder of ["base", "ports", "raft", "machine", "wire"]) {
      if (folder === "ports" && text.includes("Promise<")) continue;
      expect(new Set(broken(`src/${folder}/a.ts`, text))).toEqual(new Set(["pure@1"]));
    }
  });

  it("fail with chance that is not injected, as every other layer does", () => {
    for (const folder of ["raft", "runtime", "api", "sim"])
      expect(broken(`src/${folder}/a.ts`, "const a = Math.random();")).toEqual(["hidden@1"]);
  });

  it("may name a member as they like, and write about clocks", () => {
    expect(
      broken("src/raft/a.ts", "interface A { Date: number; process?: string }\n// Date, async\nclock.performance; f({ performance: 1 });"),
    ).toEqual([]);
  });

  it("let the interfaces of ports answer later, but not wait", () => {
    expect(broken("src/ports/a.ts", "interface Disk { sync(): Promise<void> }")).toEqual([]);
    expect(broken("src/ports/a.ts", "const all = Promise.all([]);")).toEqual(["pure@1"]);
  });
});

describe("hidden clocks", () => {
  it.each(["Date.now();", "new Date();", "setTimeout(f, 1);", "performance.now();"])("fail outside of the platform: %s", (text) => {
    for (const folder of ["storage", "replica", "runtime", "api", "cli", "sim"])
      expect(broken(`src/${folder}/a.ts`, text)).toEqual(["hidden@1"]);
    for (const path of ["src/platform/node/clock.ts", "src/index.ts", "src/runtime/a.test.ts", "bench/a.ts"])
      expect(broken(path, text)).toEqual([]);
  });

  it("are not what turns a number into a date", () => {
    expect(broken("src/api/a.ts", "const at = new Date(wallMs); function f(at: Date): void {}")).toEqual([]);
  });
});

describe("order", () => {
  it("fails when numbers would be sorted as text in a pure layer", () => {
    expect(broken("src/raft/a.ts", "a.sort();\nb.toSorted();\nc.sort((x, y) => x - y);")).toEqual(["order@1", "order@2"]);
    expect(broken("src/cli/a.ts", "a.sort();")).toEqual([]);
  });

  it("fails when it depends on the machine's language", () => {
    expect(broken("src/cli/a.ts", "a.localeCompare(b);")).toEqual(["order@1"]);
  });
});

describe("module state", () => {
  it("fails when two nodes in one process would share it", () => {
    expect(broken("src/runtime/a.ts", "export const a = 1;\nlet count = 0;\nfunction f(): void { let own = `${count}`; }")).toEqual([
      "state@2",
    ]);
    expect(broken("src/embedded.ts", "let count = 0;")).toEqual(["state@1"]);
    expect(broken("src/sim/main.ts", "let count = 0;")).toEqual([]);
  });
});

describe("types", () => {
  it.each([
    ["any", "const f = (a: any): void => {};"],
    ["as any", "f(a as any);"],
    ["any within", "const a: Map<string, any> = b;"],
    ["a non-null member", "const a = b!.c;"],
    ["a non-null call", "const a = f()!;"],
    ["a non-null element", "const a = b[0]!;"],
    ["a non-null argument", "f(a!, b);"],
    ["a non-null function", "const a = f!(1);"],
    ["a definite field", "class A { private b!: number; }"],
    ["ts-ignore", "// @ts-ignore\nf();"],
    ["ts-expect-error", "/* @ts-expect-error */ f();"],
  ])("fail with %s", (_, text) => {
    expect(broken("src/cli/a.ts", text)).toEqual(["types@1"]);
  });

  it("may say in a test what must not compile", () => {
    expect(broken("src/api/a.test.ts", "// @ts-expect-error: no number\nf(1);")).toEqual([]);
    expect(broken("src/api/a.test.ts", "// @ts-ignore\nf(1);")).toEqual(["types@1"]);
  });

  it("may negate, and speak of any", () => {
    const text =
      "if (!a && !b.c || a !== b) !c;\nreturn !d;\nPromise.any([]);\n// any @ts-ignore\nconst e = f(!g, [!h], `any!`);\nif (x) !y;\nif (x) !(y);";
    expect(broken("tools/a.ts", text)).toEqual([]);
  });
});

describe("notes", () => {
  it("fail when they put work off", () => {
    expect(broken("src/base/a.ts", "// TODO: later\n/** FIXME */\nconst text = 'TODO';")).toEqual(["notes@1", "notes@2"]);
  });
});

describe("length", () => {
  const lines = (count: number): string => "f();\n".repeat(count);

  it("fails when a file holds more than one idea", () => {
    expect(broken("src/base/a.ts", lines(450))).toEqual([]);
    expect(broken("src/base/a.ts", lines(451))).toEqual(["length@1"]);
    expect(broken("src/base/a.test.ts", lines(900))).toEqual([]);
    expect(broken("src/base/a.test.ts", lines(901))).toEqual(["length@1"]);
  });

  it.each([
    ["a function", "export function long(a: { b: number }): void {"],
    ["an arrow function", "const long = (a: number): number => {"],
    ["a method", "class A {\n  long(a = {}): Map<string, number> {"],
    ["a method that returns a shape", "class A {\n  long(): { a: number } | undefined {"],
    ["an accessor", "class A {\n  get long(): readonly string[] {"],
    ["a generic method", "class A {\n  long<T extends { a: number }>(a: T): Promise<Map<string, T>> {"],
    ["a type guard", "function long(a: unknown): a is string {"],
  ])("fails when %s does", (_, head) => {
    const close = head.includes("class") ? "}\n}" : "}";
    const at = head.includes("class") ? 2 : 1;
    expect(broken("src/storage/a.ts", `${head}\n${lines(88)}${close}`)).toEqual([]);
    expect(checkFile("src/storage/a.ts", `${head}\n${lines(89)}${close}`).map(formatProblem)).toEqual([
      `src/storage/a.ts:${at}  length  long has 91 lines; a function has at most 90`,
    ]);
  });

  it("takes no block, class or table for a function", () => {
    const heads = [
      "if (a) {",
      "for (const a of b) {",
      "switch (a) {",
      "while (f(a)) {",
      "try {",
      "class A extends B<C> {",
      "interface A {",
      "const a = {",
      "f(a, {",
      "const a = b ? { c } : {",
    ];
    for (const head of heads) expect([head, functionsOf(codeOf(scanTokens(`${head}\n f();\n}`)))]).toEqual([head, []]);
  });
});

describe("the tree", () => {
  it("fails when imports go in a circle, unless only types do", () => {
    const circle = new Map([
      ["src/raft/a.ts", 'import { b } from "./b.ts";'],
      ["src/raft/b.ts", 'import { c } from "./c.ts";'],
      ["src/raft/c.ts", 'import { a } from "./a.ts";'],
    ]);
    expect(findCycles(circle).map((problem) => problem.message)).toEqual([
      "imports go in a circle: src/raft/a.ts → src/raft/b.ts → src/raft/c.ts → src/raft/a.ts",
    ]);
    expect(findCycles(new Map([...circle, ["src/raft/c.ts", 'import type { a } from "./a.ts";']]))).toEqual([]);
  });

  it("fails when an import names no file", () => {
    const tree = new Map([["src/raft/a.ts", '\nimport { b } from "./b.ts";']]);
    expect(findMissing(tree).map(formatProblem)).toEqual(["src/raft/a.ts:2  imports  src/raft/b.ts does not exist"]);
  });

  it("fails when a folder does not say its contract", () => {
    const tree = new Map([
      ["src/raft/index.ts", ""],
      ["src/machine/commands/index.ts", ""],
      ["src/platform/node/disk.ts", ""],
      ["src/index.ts", ""],
    ]);
    const folders = ["src/machine", "src/machine/commands", "src/platform/node", "src/raft"];
    expect(findUndocumented(tree).map((problem) => problem.path)).toEqual(folders.map((folder) => `${folder}/README.md`));
    expect(findUndocumented(new Map([...tree, ...folders.map((folder) => [`${folder}/README.md`, ""] as const)]))).toEqual([]);
  });

  it("says every problem by path and line", () => {
    const tree = new Map([
      ["src/raft/b.ts", "// TODO\nDate.now();"],
      ["src/raft/a.ts", "a.sort();"],
      ["src/raft/README.md", ""],
    ]);
    expect(checkTree(tree).map((problem) => `${problem.path}:${problem.line}`)).toEqual([
      "src/raft/a.ts:1",
      "src/raft/b.ts:1",
      "src/raft/b.ts:2",
    ]);
  });
});
