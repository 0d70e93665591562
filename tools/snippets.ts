/**
 * Runs the examples of README.md, docs/*.md and docs/guide/*.md as they stand: every ```js block is a module that Node
 * runs against the build, with `import … from "unum"` as a user writes it. An example ends by itself
 * with exit code 0 within 30 s.
 *
 *     npm run build && node dist/tools/snippets.js [file …]
 *
 * Words behind `js`: "continues" joins the block to the one before it in its file; "fragment" only
 * checks that it parses, for lines that make no sense alone.
 */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMain, pathOf, repository } from "./files.ts";

export interface Snippet {
  readonly path: string;
  /** Of the opening fence; of the first one when blocks are joined. */
  readonly line: number;
  readonly code: string;
  readonly fragment: boolean;
}

/** The JavaScript blocks of a page, in order. Throws when one continues nothing or is not closed. */
export function snippetsOf(path: string, text: string): readonly Snippet[] {
  const snippets: Snippet[] = [];
  const lines = text.split("\n");
  for (let at = 0; at < lines.length; at++) {
    const fence = /^```(\S*) *(.*)$/.exec(lines[at] ?? "");
    if (fence === null) continue;
    const start = at;
    do at++;
    while (at < lines.length && !(lines[at] ?? "").startsWith("```"));
    if (at >= lines.length) throw new Error(`${path}:${start + 1}: a block is not closed`);
    const words = (fence[2] ?? "").split(/\s+/).filter((word) => word !== "");
    if (fence[1] !== "js") continue;
    const code = lines.slice(start + 1, at).join("\n");
    const unknown = words.find((word) => word !== "continues" && word !== "fragment");
    if (unknown !== undefined) throw new Error(`${path}:${start + 1}: "${unknown}" is neither "continues" nor "fragment"`);
    const before = snippets.at(-1);
    if (!words.includes("continues")) snippets.push({ path, line: start + 1, code, fragment: words.includes("fragment") });
    else if (before === undefined) throw new Error(`${path}:${start + 1}: continues nothing`);
    else snippets[snippets.length - 1] = { ...before, code: `${before.code}\n${code}` };
  }
  return snippets;
}

export interface SnippetResult {
  readonly ok: boolean;
  /** What it wrote, for the one who must mend it. */
  readonly output: string;
}

/** Runs a module from a folder of its own, so that data directories of examples never meet; a fragment is only parsed. */
export function runSnippet(snippet: Snippet, timeoutMs: number): Promise<SnippetResult> {
  // Within the package, so that it may import the package by its name.
  const folder = pathOf("dist/snippets");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${snippet.path.replace(/[^\w]+/g, "-")}-${snippet.line}.mjs`);
  const code = snippet.fragment ? `async () => {\n${snippet.code.replace(/^\s*import .*$/gm, "")}\n};\n` : `${snippet.code}\n`;
  writeFileSync(file, code);
  const cwd = mkdtempSync(join(tmpdir(), "unum-snippet-"));
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    const child = spawn(process.execPath, [...(snippet.fragment ? ["--check"] : []), file], {
      cwd,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, UNUM_LISTEN: process.env["UNUM_LISTEN"] ?? "127.0.0.1:0" },
    });
    const timer = setTimeout(() => {
      chunks.push(Buffer.from(`\nstill running after ${timeoutMs / 1000} s: an example closes what it opens\n`));
      child.kill("SIGKILL");
    }, timeoutMs);
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.push(chunk));
    child.once("close", (code) => {
      clearTimeout(timer);
      rmSync(cwd, { recursive: true, force: true });
      resolve({ ok: code === 0, output: Buffer.concat(chunks).toString("utf8") });
    });
  });
}

async function main(given: readonly string[]): Promise<number> {
  const pages = ["docs", "docs/guide"].flatMap((folder) =>
    readdirSync(join(repository, folder))
      .filter((name) => name.endsWith(".md"))
      .sort((a, b) => (a < b ? -1 : 1))
      .map((name) => `${folder}/${name}`),
  );
  const paths = given.length > 0 ? given : ["README.md", ...pages];
  let failed = 0;
  let count = 0;
  for (const path of paths) {
    for (const snippet of snippetsOf(path, readFileSync(pathOf(path), "utf8"))) {
      const startedMs = performance.now();
      const { ok, output } = await runSnippet(snippet, 30_000);
      count++;
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      console.log(`${ok ? "ok    " : "FAILED"}  ${snippet.path}:${snippet.line}  ${snippet.fragment ? "parsed" : `${seconds} s`}`);
      if (!ok) {
        failed++;
        console.log(output.trimEnd().replace(/^/gm, "        "));
      }
    }
  }
  console.log(`${count} examples, ${failed} failed`);
  return failed === 0 ? 0 : 1;
}

if (isMain(import.meta.url)) process.exitCode = await main(process.argv.slice(2));
