import { posix } from "node:path";
import type { Token } from "./tokens.ts";

/** One `import` or `export … from`, a dynamic `import()` or an `import("…")` type. */
export interface Import {
  readonly specifier: string;
  /** Nothing of it remains when the types are erased. */
  readonly typeOnly: boolean;
  readonly line: number;
}

/** Whether every name in `{ type A, type B }` is a type: TypeScript keeps the import itself, but nothing of it is used. */
function onlyTypeNames(tokens: readonly Token[]): boolean {
  if (tokens[0]?.text !== "{" || tokens.length < 3) return false;
  const inner = tokens.slice(1, -1);
  let expectsName = true;
  for (const token of inner) {
    if (expectsName && token.text !== "type") return false;
    expectsName = token.text === ",";
  }
  return true;
}

/** The statement that begins with `import` or `export` at `start`: its module, if it names one. */
function importAt(code: readonly Token[], start: number): Import | undefined {
  const line = code[start]?.line ?? 0;
  const first = code[start + 1];
  if (first === undefined) return undefined;
  if (code[start]?.text === "import") {
    if (first.kind === "string") return { specifier: first.text, typeOnly: false, line };
    if (first.text === "(") {
      const specifier = code[start + 2];
      if (specifier?.kind !== "string") return undefined;
      const before = code[start - 1]?.text ?? "";
      return { specifier: specifier.text, typeOnly: [":", "|", "&", "<", "typeof"].includes(before), line };
    }
  } else if (first.text !== "{" && first.text !== "*" && first.text !== "type") return undefined;
  for (let at = start + 1; at < code.length; at++) {
    const token = code[at];
    if (token === undefined || token.text === ";" || token.text === "=" || token.text === "(") return undefined;
    const specifier = code[at + 1];
    if (token.text === "from" && specifier?.kind === "string") {
      const typeOnly = first.text === "type" && code[start + 2]?.text !== "from" ? true : onlyTypeNames(code.slice(start + 1, at));
      return { specifier: specifier.text, typeOnly, line };
    }
  }
  return undefined;
}

/** All modules that a file names. `code` has no comments. */
export function importsOf(code: readonly Token[]): readonly Import[] {
  const imports: Import[] = [];
  code.forEach((token, at) => {
    if (token.kind !== "word" || (token.text !== "import" && token.text !== "export") || code[at - 1]?.text === ".") return;
    const found = importAt(code, at);
    if (found !== undefined) imports.push(found);
  });
  return imports;
}

/** The path that a relative import means, as the repository names it; undefined for a package. */
export function importedPath(from: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? posix.normalize(posix.join(posix.dirname(from), specifier)) : undefined;
}
