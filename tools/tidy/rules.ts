import { functionsOf } from "./functions.ts";
import { importedPath, importsOf } from "./imports.ts";
import { folderOf, isDoor, isRoot, isTest, layerOf } from "./layers.ts";
import type { Layer } from "./layers.ts";
import { codeOf, scanTokens } from "./tokens.ts";
import type { Token } from "./tokens.ts";

export interface Problem {
  readonly path: string;
  readonly line: number;
  readonly rule: string;
  readonly message: string;
}

export const fileLinesMax = 450;
export const testFileLinesMax = 900;
export const functionLinesMax = 90;

interface Source {
  readonly path: string;
  readonly text: string;
  readonly tokens: readonly Token[];
  /** The tokens without comments. */
  readonly code: readonly Token[];
  readonly layer: Layer | undefined;
  readonly root: boolean;
  readonly test: boolean;
}

type Rule = (source: Source) => readonly Problem[];

function problem(source: Source, line: number, rule: string, message: string): Problem {
  return { path: source.path, line, rule, message };
}

const beforeKey = new Set(["{", "(", ",", ";", "}", "readonly", "private", "static"]);

/** Whether the word at `at` names a member, a key or a parameter (`x.Date`, `{ process: 1 }`), not the global. */
function isMember(code: readonly Token[], at: number): boolean {
  const before = code[at - 1]?.text ?? "";
  if (before === "." || before === "?.") return true;
  const after = code[at + 1]?.text ?? "";
  return beforeKey.has(before) && (after === ":" || (after === "?" && code[at + 2]?.text === ":"));
}

function findWords(source: Source, words: ReadonlyMap<string, string>, rule: string): readonly Problem[] {
  const problems: Problem[] = [];
  source.code.forEach((token, at) => {
    const why = token.kind === "word" ? words.get(token.text) : undefined;
    if (why !== undefined && !isMember(source.code, at)) problems.push(problem(source, token.line, rule, `${token.text}: ${why}`));
  });
  return problems;
}

/** What an import may reach: the table of layers, the doors of folders, `node:*` and packages. */
const checkImports: Rule = (source) => {
  const { layer, path } = source;
  if (layer === undefined || source.root || source.test) return [];
  const problems: Problem[] = [];
  for (const { specifier, typeOnly, line } of importsOf(source.code)) {
    const target = importedPath(path, specifier);
    if (target === undefined) {
      if (specifier.startsWith("node:")) {
        if (!layer.platform)
          problems.push(problem(source, line, "node", `${specifier}: only src/platform may import node:*; ask for a port`));
      } else if (!layer.packages.includes(specifier)) {
        problems.push(problem(source, line, "package", `${layer.folder} may not import the package ${specifier}`));
      }
      continue;
    }
    const message = checkTarget(layer, path, target, typeOnly);
    if (message !== undefined) problems.push(problem(source, line, "imports", message));
  }
  return problems;
};

function checkTarget(layer: Layer, path: string, target: string, typeOnly: boolean): string | undefined {
  if (!target.endsWith(".ts")) return `${target}: an import names the file, with .ts`;
  const folder = folderOf(target);
  if (layerOf(target) === layer) return undefined;
  if (folder === undefined) return `${layer.folder} may not import ${target}; only roots join layers`;
  if (isTest(target)) return `${target} is a test's; nothing may import it`;
  const need = layer.imports[folder];
  if (need === undefined) return `${layer.folder} may not import ${folder}`;
  if (!isDoor(target)) return `${target}: enter ${folder} through its index.ts or types.ts`;
  if (need === "types" && !typeOnly) return `${layer.folder} may import only types from ${folder}: say import type`;
  if (need === "contract" && !typeOnly && !target.endsWith("/types.ts")) {
    return `${layer.folder} may import only the contract of ${folder}: its types.ts, or types from its door`;
  }
  return path === target ? "a file imports itself" : undefined;
}

const notPure = "a pure layer has no clock, entropy, I/O or async; it gets values as arguments";
/** What the language itself offers; the compiler gives these folders no platform, so `process` or `Buffer` do not compile there. */
const pureWords = new Map(
  [
    "Date",
    "Promise",
    "async",
    "await",
    "setTimeout",
    "setInterval",
    "setImmediate",
    "queueMicrotask",
    "performance",
    "globalThis",
    "WeakRef",
  ].map((word) => [word, notPure]),
);
/** The interfaces of ports may say that a platform answers later: `Promise<…>` as a type, and nothing else of it. */
const checkPure: Rule = (source) => {
  if (source.layer?.pure !== true || source.test) return [];
  const interfaces = source.layer.folder === "ports";
  const code = interfaces ? source.code.filter((token, at) => token.text !== "Promise" || source.code[at + 1]?.text !== "<") : source.code;
  return findWords({ ...source, code }, pureWords, "pure");
};

const hidden = "a hidden clock; take the Clock port";
const hiddenWords = new Map(["setTimeout", "setInterval", "setImmediate", "queueMicrotask", "performance"].map((word) => [word, hidden]));

/** Outside of the platform, time and chance come in through ports: what reads them directly cannot be simulated. */
const checkHidden: Rule = (source) => {
  const { layer, code } = source;
  if (layer === undefined || layer.platform || source.root || source.test) return [];
  const problems = layer.pure ? [] : [...findWords(source, hiddenWords, "hidden")];
  code.forEach((token, at) => {
    const text = `${token.text}${code[at + 1]?.text ?? ""}${code[at + 2]?.text ?? ""}`;
    const bare = token.text === "new" && code[at + 1]?.text === "Date" && (code[at + 2]?.text !== "(" || code[at + 3]?.text === ")");
    if (text === "Math.random")
      problems.push(problem(source, token.line, "hidden", "Math.random: hidden entropy; take a Prng or the Random port"));
    if (!layer.pure && (text === "Date.now" || bare))
      problems.push(problem(source, token.line, "hidden", `${bare ? "new Date()" : text}: ${hidden}`));
  });
  return problems;
};

/** Orders that differ between machines, or are not the order of keys. */
const checkOrder: Rule = (source) => {
  if (source.layer === undefined || source.test) return [];
  const problems: Problem[] = [];
  source.code.forEach((token, at) => {
    if (token.kind !== "word" || source.code[at - 1]?.text === undefined) return;
    if (token.text === "localeCompare")
      problems.push(problem(source, token.line, "order", "localeCompare depends on the machine; compare with < or by bytes"));
    const sorts = (token.text === "sort" || token.text === "toSorted") && [".", "?."].includes(source.code[at - 1]?.text ?? "");
    if (sorts && source.layer?.pure === true && source.code[at + 1]?.text === "(" && source.code[at + 2]?.text === ")") {
      problems.push(problem(source, token.line, "order", `${token.text}() without a comparator sorts numbers as text; pass one`));
    }
  });
  return problems;
};

/** Two nodes must be able to live in one process: nothing that changes may belong to a module, except to a program's first one. */
const checkModuleState: Rule = (source) => {
  if (!source.path.startsWith("src/") || source.test || source.path.endsWith("/main.ts")) return [];
  const problems: Problem[] = [];
  let depth = 0;
  for (const token of source.code) {
    if (token.kind === "template") {
      if (token.text.startsWith("}")) depth--;
      if (token.text.endsWith("${")) depth++;
    }
    if (token.kind === "mark" && (token.text === "{" || token.text === "(" || token.text === "[")) depth++;
    if (token.kind === "mark" && (token.text === "}" || token.text === ")" || token.text === "]")) depth--;
    if (depth === 0 && token.kind === "word" && (token.text === "let" || token.text === "var")) {
      problems.push(problem(source, token.line, "state", `${token.text} at the top of a module is state that two nodes would share`));
    }
  }
  return problems;
};

const notOperand = new Set([
  "return",
  "typeof",
  "case",
  "in",
  "of",
  "delete",
  "void",
  "throw",
  "new",
  "else",
  "do",
  "yield",
  "await",
  "as",
  "extends",
  "if",
]);
const infixWords = new Set(["as", "in", "of", "instanceof", "satisfies"]);

/** Whether the "!" at `at` stands behind what it asserts to be there (`a!.b`), rather than before what it negates. */
function isNonNull(code: readonly Token[], at: number): boolean {
  const before = code[at - 1];
  const after = code[at + 1];
  if (before === undefined || before.line !== code[at]?.line) return false;
  if (before.kind === "word") return !notOperand.has(before.text);
  if (before.text === "]") return true;
  if (before.text !== ")") return false;
  if (after === undefined || after.line !== before.line || infixWords.has(after.text)) return true;
  return after.kind === "mark" && after.text !== "(" && after.text !== "!" && after.text !== "{";
}

/** What switches the compiler off: `any`, `!`, `@ts-ignore`. */
const checkTypes: Rule = (source) => {
  const problems: Problem[] = [];
  const { code } = source;
  code.forEach((token, at) => {
    if (token.kind === "word" && token.text === "any" && code[at + 1]?.text !== "(" && !isMember(code, at)) {
      problems.push(problem(source, token.line, "types", "any: use unknown, or the type it is"));
    }
    if (token.kind === "mark" && token.text === "!" && isNonNull(code, at)) {
      problems.push(problem(source, token.line, "types", "!: say what is there with defined(), or handle its absence"));
    }
  });
  for (const token of source.tokens) {
    if (token.kind !== "comment") continue;
    const directive = /^\/[/*]+\s*(@ts-(?:ignore|expect-error|nocheck))/.exec(token.text);
    // A test of types says by it what must not compile.
    if (directive?.[1] === "@ts-expect-error" && source.test) continue;
    if (directive !== null) problems.push(problem(source, token.line, "types", `${directive[1]}: mend the type instead`));
  }
  return problems;
};

const checkNotes: Rule = (source) =>
  source.tokens.flatMap((token) => {
    const note = token.kind === "comment" ? /\b(TODO|FIXME|XXX|HACK)\b/.exec(token.text) : null;
    return note === null ? [] : [problem(source, token.line, "notes", `${note[0]}: do it now, or open an issue`)];
  });

const checkLength: Rule = (source) => {
  const problems: Problem[] = [];
  const lines = source.text.split("\n").length - (source.text.endsWith("\n") ? 1 : 0);
  const most = source.test ? testFileLinesMax : fileLinesMax;
  if (lines > most) problems.push(problem(source, 1, "length", `${lines} lines; a file has at most ${most}: it holds more than one idea`));
  if (source.test) return problems;
  for (const body of functionsOf(source.code)) {
    if (body.lines > functionLinesMax) {
      problems.push(
        problem(source, body.line, "length", `${body.name} has ${body.lines} lines; a function has at most ${functionLinesMax}`),
      );
    }
  }
  return problems;
};

export const rules: readonly Rule[] = [
  checkImports,
  checkPure,
  checkHidden,
  checkOrder,
  checkModuleState,
  checkTypes,
  checkNotes,
  checkLength,
];

/** Every problem that one file has by itself. `path` is relative to the repository, with "/". */
export function checkFile(path: string, text: string): readonly Problem[] {
  const tokens = scanTokens(text);
  const source: Source = {
    path,
    text,
    tokens,
    code: codeOf(tokens),
    layer: layerOf(path),
    root: isRoot(path),
    test: isTest(path) || !path.startsWith("src/"),
  };
  return rules.flatMap((rule) => rule(source));
}
