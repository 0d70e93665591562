import { describe, expect, it } from "vitest";
import { runSnippet, snippetsOf } from "./snippets.ts";

const page = (...blocks: string[]): string => `# A page\n\n${blocks.map((block) => `\`\`\`${block}\n\`\`\`\n`).join("\ntext\n\n")}`;
const snippet = (code: string, fragment = false): { path: string; line: number; code: string; fragment: boolean } => ({
  path: "test.md",
  line: code.length,
  code,
  fragment,
});

describe("snippetsOf", () => {
  it("takes JavaScript blocks, with the line of their fence, and no others", () => {
    expect(snippetsOf("a.md", page("js\nfirst();", "sh\nnpm ci", "ts\nlet a: number;", "js fragment\nsecond();"))).toEqual([
      { path: "a.md", line: 3, code: "first();", fragment: false },
      { path: "a.md", line: 21, code: "second();", fragment: true },
    ]);
  });

  it("joins a block that continues the one before it", () => {
    expect(snippetsOf("a.md", page("js\nconst a = 1;", "js continues\nf(a);"))).toEqual([
      { path: "a.md", line: 3, code: "const a = 1;\nf(a);", fragment: false },
    ]);
  });

  it("refuses what would otherwise not be run in silence", () => {
    expect(() => snippetsOf("a.md", page("js skip\nf();"))).toThrow('a.md:3: "skip" is neither');
    expect(() => snippetsOf("a.md", page("js continues\nf();"))).toThrow("continues nothing");
    expect(() => snippetsOf("a.md", "```js\nf();\n")).toThrow("not closed");
  });
});

describe("runSnippet", () => {
  it("passes what ends with 0 and says what it wrote", async () => {
    expect(await runSnippet(snippet("console.log(await Promise.resolve(1 + 1));"), 10_000)).toEqual({ ok: true, output: "2\n" });
  });

  it("fails what throws, exits otherwise, rejects or does not end", async () => {
    for (const code of [
      'throw new Error("x");',
      "process.exit(3);",
      'await Promise.reject(new Error("y"));',
      'import { nothing } from "unum";',
    ]) {
      expect([code, (await runSnippet(snippet(code), 10_000)).ok]).toEqual([code, false]);
    }
    const endless = await runSnippet(snippet("setInterval(() => {}, 1000);"), 500);
    expect([endless.ok, endless.output]).toEqual([false, "\nstill running after 0.5 s: an example closes what it opens\n"]);
  });

  it("parses a fragment without running it", async () => {
    expect((await runSnippet(snippet('await nowhere.kv.put("a", 1);', true), 10_000)).ok).toBe(true);
    expect((await runSnippet(snippet("await (;", true), 10_000)).ok).toBe(false);
  });
});
