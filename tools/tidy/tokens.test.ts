import { describe, expect, it } from "vitest";
import { codeOf, scanTokens } from "./tokens.ts";

const texts = (source: string): string[] => codeOf(scanTokens(source)).map((token) => `${token.kind}:${token.text}`);

describe("scanTokens", () => {
  it("tells code from comments and strings", () => {
    expect(texts(`a // Date\n/* Date */ "Date" 'it\\'s' b`)).toEqual(["word:a", "string:Date", "string:it\\'s", "word:b"]);
  });

  it("reads the code within a template, however deep, and nothing of its text", () => {
    expect(texts("`Date ${a} { ${`${b}`} }` + c")).toEqual([
      "template:`Date ${",
      "word:a",
      "template:} { ${",
      "template:`${",
      "word:b",
      "template:}`",
      "template:} }`",
      "mark:+",
      "word:c",
    ]);
    expect(texts("`${ { a: 1 } }`")).toEqual(["template:`${", "mark:{", "word:a", "mark::", "number:1", "mark:}", "template:}`"]);
  });

  it("tells a regular expression from a division", () => {
    expect(texts(`x = /["'\`]/g.test(y)`)).toContain("regex:/[\"'`]/g");
    expect(texts("return /[/]/")).toEqual(["word:return", "regex:/[/]/"]);
    expect(texts("a / b / c; (a) / b; a[0] / 2").filter((text) => text.startsWith("regex"))).toEqual([]);
  });

  it("counts lines through comments and templates", () => {
    const lines = scanTokens("/*\n*/ a\n`\n\n` b").map((token) => `${token.kind} ${token.line}`);
    expect(lines).toEqual(["comment 1", "word 2", "template 3", "word 5"]);
  });

  it("keeps marks of more than one character whole, so that != asserts nothing", () => {
    expect(texts("a !== b != c => d ?? e?.f")).toEqual([
      "word:a",
      "mark:!==",
      "word:b",
      "mark:!=",
      "word:c",
      "mark:=>",
      "word:d",
      "mark:??",
      "word:e",
      "mark:?.",
      "word:f",
    ]);
  });

  it("ends on a file that is cut in the middle", () => {
    for (const source of ['"abc', "`abc ${d", "/* abc", "x = /abc", "'a\\"]) expect(scanTokens(source).length).toBeGreaterThan(0);
  });
});
