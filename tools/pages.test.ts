import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import * as base from "../src/base/index.ts";
import * as etcd from "../src/cli/etcd/flags.ts";
import { pathOf, readTree } from "./files.ts";
import { formatLimit, limitTexts, makePages } from "./pages.ts";
import { codeOf, scanTokens } from "./tidy/tokens.ts";

const pages = makePages(base, etcd);

describe("generated pages", () => {
  it("are current: whoever changes a table runs npm run docs", () => {
    for (const [path, text] of pages) expect([path, readFileSync(pathOf(path), "utf8") === text]).toEqual([path, true]);
  });

  it("have every error, limit and option", () => {
    for (const code of Object.keys(base.errorTable)) expect(pages.get("docs/errors.md")).toContain(`\n## ${code}\n`);
    for (const name of Object.keys(base.limits)) expect(pages.get("docs/limits.md")).toContain(`\n| \`${name}\` |`);
    for (const name of Object.keys(base.optionTable)) expect(pages.get("docs/options.md")).toContain(`\n| \`${name}\` |`);
  });

  it("fail when a limit has no reason of its own", () => {
    const source = readFileSync(pathOf("src/base/limits.ts"), "utf8").replace(/\/\*\* Bytes of a key[^*]*\*\//, "");
    expect(() => limitTexts(base.limits, source)).toThrow("the limit keyBytesMax has no comment of its own");
  });

  it("promise no limit that nothing enforces", () => {
    const tree = readTree(["src"], (path) => path.endsWith(".ts") && !path.includes(".test.") && path !== "src/base/limits.ts");
    const words = new Set([...tree.values()].flatMap((text) => codeOf(scanTokens(text)).map((token) => token.text)));
    expect(Object.keys(base.limits).filter((name) => !words.has(name))).toEqual([]);
    // The same for codes: the page of an error that is never given misleads.
    const text = [...tree].flatMap(([path, source]) => (path === "src/base/errors.ts" ? [] : [source])).join("\n");
    expect(Object.keys(base.errorTable).filter((code) => !text.includes(`"${code}"`))).toEqual([]);
  });

  it("and the others lead to files that are there: a promise linked to no test is none", () => {
    const written = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].map((path) => [path, readFileSync(pathOf(path), "utf8")] as const);
    const dead: string[] = [];
    for (const [path, text] of [...written, ...readTree(["docs"], (name) => name.endsWith(".md"))]) {
      for (const [, target = ""] of text.matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
        if (/^[a-z]+:/.test(target)) continue;
        if (!existsSync(join(dirname(pathOf(path)), target))) dead.push(`${path}: ${target}`);
      }
    }
    expect(dead).toEqual([]);
  });

  it("measure as a reader does", () => {
    expect([
      formatLimit("xBytesMax", 2 ** 31),
      formatLimit("xBytes", 1000),
      formatLimit("xMs", 90_000),
      formatLimit("xMs", 60_000),
      formatLimit("xMs", 5),
    ]).toEqual(["2 GiB", "1,000 bytes", "90 s", "1 min", "5 ms"]);
    expect([formatLimit("membersMax", 4096), formatLimit("clockDriftRatio", 0.01), formatLimit("xSecondsMin", 2)]).toEqual([
      "4,096",
      "1 %",
      "2 s",
    ]);
  });
});
