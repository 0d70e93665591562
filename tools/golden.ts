/**
 * Golden scripts: a protocol's behaviour as text that reviewers read as documentation.
 *
 *     # a comment
 *     verb argument key=value key=(a, b)
 *     body line
 *     ----
 *     expected output
 *
 * A blank line ends the expected output; output that has blank lines stands between two pairs of
 * `----`. `UNUM_REWRITE=1` writes what the system says instead of comparing. Errors of the system
 * under test are output; an exception of the runner itself fails the script.
 */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

export class GoldenCommand {
  readonly verb: string;
  /** Words without "=", in order. */
  readonly words: readonly string[];
  readonly options: ReadonlyMap<string, readonly string[]>;
  readonly body: string;

  constructor(verb: string, words: readonly string[], options: ReadonlyMap<string, readonly string[]>, body: string) {
    this.verb = verb;
    this.words = words;
    this.options = options;
    this.body = body;
  }

  has(name: string): boolean {
    return this.options.has(name) || this.words.includes(name);
  }

  list(name: string): readonly string[] {
    return this.options.get(name) ?? [];
  }

  text(name: string): string | undefined {
    return this.options.get(name)?.[0];
  }

  number(name: string): number | undefined;
  number(name: string, fallback: number): number;
  number(name: string, fallback?: number): number | undefined {
    const text = this.text(name);
    if (text === undefined) return fallback;
    const value = Number(text);
    if (!Number.isFinite(value)) throw new Error(`${this.verb}: ${name}=${text} is no number`);
    return value;
  }

  word(position: number, what: string): string {
    const word = this.words[position];
    if (word === undefined) throw new Error(`${this.verb} needs ${what}`);
    return word;
  }
}

export type GoldenRunner = (command: GoldenCommand) => string | Promise<string>;

function parseCommand(line: string, body: string): GoldenCommand {
  const words: string[] = [];
  const options = new Map<string, readonly string[]>();
  const pattern = /([\w.-]+)=(?:\(([^)]*)\)|"([^"]*)"|(\S*))|"([^"]*)"|(\S+)/g;
  for (const match of line.matchAll(pattern)) {
    const [, name, list, quoted, plain, quotedWord, word] = match;
    if (name !== undefined) {
      options.set(
        name,
        list === undefined
          ? [quoted ?? plain ?? ""]
          : list
              .split(",")
              .map((part) => part.trim())
              .filter((part) => part !== ""),
      );
    } else words.push(quotedWord ?? word ?? "");
  }
  const [verb = "", ...rest] = words;
  return new GoldenCommand(verb, rest, options, body);
}

interface Step {
  readonly before: readonly string[];
  readonly line: string;
  readonly body: string;
  readonly expected: string;
}

function parseScript(text: string): { steps: Step[]; trailer: readonly string[] } {
  const lines = text.split("\n");
  const steps: Step[] = [];
  let before: string[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] as string;
    if (line.trim() === "" || line.startsWith("#")) {
      before.push(line);
      at++;
      continue;
    }
    const body: string[] = [];
    at++;
    while (at < lines.length && lines[at] !== "----") {
      if (lines[at]?.trim() === "" && body.length === 0) break;
      body.push(lines[at] as string);
      at++;
    }
    if (lines[at] !== "----") throw new Error(`"${line}" has no ---- behind it`);
    at++;
    const expected: string[] = [];
    if (lines[at] === "----") {
      at++;
      while (at < lines.length && !(lines[at] === "----" && lines[at + 1] === "----")) expected.push(lines[at++] as string);
      at += 2;
    } else while (at < lines.length && lines[at] !== "") expected.push(lines[at++] as string);
    steps.push({ before, line, body: body.join("\n"), expected: expected.join("\n") });
    before = [];
  }
  while (before.length > 0 && before[before.length - 1] === "") before.pop();
  return { steps, trailer: before };
}

function render(step: Step, output: string): string {
  const body = step.body === "" ? "" : `${step.body}\n`;
  const result = output === "" ? "" : /(^|\n)(\n|$)/.test(output) ? `----\n${output}\n----\n----\n` : `${output}\n`;
  return `${step.before.map((line) => `${line}\n`).join("")}${step.line}\n${body}----\n${result}`;
}

async function runScript(path: string, runner: GoldenRunner): Promise<void> {
  const { steps, trailer } = parseScript(readFileSync(path, "utf8"));
  let rewritten = "";
  for (const step of steps) {
    const output = (await runner(parseCommand(step.line, step.body))).trimEnd();
    if (process.env["UNUM_REWRITE"] === "1") rewritten += render(step, output);
    else expect(output, `${path}: ${step.line}`).toBe(step.expected.trimEnd());
  }
  if (process.env["UNUM_REWRITE"] === "1") writeFileSync(path, rewritten + trailer.map((line) => `${line}\n`).join(""));
}

/** One test per `*.txt` of a folder; each script gets a runner of its own. `close` cleans up after it. */
export function goldenTests(folder: URL, makeRunner: () => { readonly run: GoldenRunner; close?(): Promise<void> | void }): void {
  const path = fileURLToPath(folder);
  const names = readdirSync(path)
    .filter((name) => name.endsWith(".txt"))
    .sort((a, b) => (a < b ? -1 : 1));
  describe(`golden scripts of ${path.split("/").filter(Boolean).slice(-2).join("/")}`, () => {
    it("has scripts", () => expect(names.length).toBeGreaterThan(0));
    for (const name of names) {
      it(name, async () => {
        const runner = makeRunner();
        try {
          await runScript(`${path}/${name}`, runner.run);
        } finally {
          await runner.close?.();
        }
      });
    }
  });
}
