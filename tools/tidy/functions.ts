import type { Token } from "./tokens.ts";

/** A function's body, from its opening brace to its closing one. */
export interface FunctionBody {
  readonly name: string;
  readonly line: number;
  readonly lines: number;
}

const blockWords = new Set(["if", "for", "while", "switch", "catch", "with", "await"]);
const opening: Readonly<Record<string, string>> = { ")": "(", "]": "[", "}": "{" };
/** What cannot stand in a return type: a brace behind one of these opens no function. */
// biome-ignore format: one line per kind
const endsType = new Set([
  ";", "=", "{", "(", "[", ",", "?", "=>", "&&", "||", "??",
  "return", "case", "default", "class", "extends", "implements", "interface", "else", "do", "try", "catch", "finally", "static", "export", "import", "new",
]);

/** The position of the bracket that the one at `end` closes. */
function matching(code: readonly Token[], end: number): number {
  const close = code[end]?.text ?? "";
  const open = opening[close];
  let depth = 0;
  for (let at = end; at >= 0; at--) {
    const token = code[at];
    if (token === undefined || token.kind !== "mark") continue;
    if (token.text === close) depth++;
    if (token.text === open && --depth === 0) return at;
  }
  return 0;
}

/** The position of the parameter list's "(" when the brace at `brace` opens the body of a function; undefined when it does not. */
function parametersBefore(code: readonly Token[], brace: number): number | undefined {
  const before = code[brace - 1];
  if (before === undefined) return undefined;
  if (before.text === ")") {
    const open = matching(code, brace - 1);
    return blockWords.has(code[open - 1]?.text ?? "") ? undefined : open;
  }
  return before.text === ":" || before.text === "|" || before.text === "&" || before.text === "<"
    ? undefined
    : parametersBeforeType(code, brace - 1);
}

/** The same when a return type ends at `end`: walks back over it to the ":" behind the parameters. */
function parametersBeforeType(code: readonly Token[], end: number): number | undefined {
  let angles = 0;
  for (let at = end; at > 0; at--) {
    const token = code[at];
    if (token === undefined) return undefined;
    if (token.kind === "mark" && /^>+$/.test(token.text)) angles += token.text.length;
    else if (token.kind === "mark" && token.text === "<") angles--;
    else if (token.kind === "mark" && opening[token.text] !== undefined) at = matching(code, at);
    else if (angles > 0) continue;
    else if (token.text === ":") {
      if (code[at - 1]?.text !== ")") return undefined;
      const open = matching(code, at - 1);
      return blockWords.has(code[open - 1]?.text ?? "") ? undefined : open;
    } else if (endsType.has(token.text)) return undefined;
    if (angles < 0) return undefined;
  }
  return undefined;
}

/** What a reader would call the function whose parameters begin at `open`. */
function nameBefore(code: readonly Token[], open: number): string {
  let start = open - 1;
  if (/^>+$/.test(code[start]?.text ?? "")) {
    for (let angles = 0; start > 0; start--) {
      const text = code[start]?.text ?? "";
      if (/^>+$/.test(text)) angles += text.length;
      else if (text === "<" && --angles === 0) break;
    }
  }
  for (let at = start; at >= Math.max(0, start - 12); at--) {
    const token = code[at];
    if (token?.kind === "word" && !["async", "function", "readonly", "const", "get", "set"].includes(token.text)) return token.text;
    if (token?.text === ";" || token?.text === "{" || token?.text === "}") break;
  }
  return "a function";
}

/** Every function with a body of its own; a function within another counts for both. */
export function functionsOf(code: readonly Token[]): readonly FunctionBody[] {
  const functions: FunctionBody[] = [];
  const open: { readonly name: string | undefined; readonly line: number }[] = [];
  code.forEach((token, at) => {
    if (token.kind !== "mark") return;
    if (token.text === "{") {
      const arrow = code[at - 1]?.text === "=>";
      const parameters = arrow ? at - 1 : parametersBefore(code, at);
      open.push({
        name: parameters === undefined ? undefined : nameBefore(code, arrow ? arrowStart(code, at) : parameters),
        line: token.line,
      });
    } else if (token.text === "}") {
      const start = open.pop();
      if (start?.name !== undefined) functions.push({ name: start.name, line: start.line, lines: token.line - start.line + 1 });
    }
  });
  return functions;
}

/** Where the parameters of the arrow function begin whose body opens at `brace`. */
function arrowStart(code: readonly Token[], brace: number): number {
  for (let at = brace - 2; at > 0; at--) {
    const token = code[at];
    if (token?.kind === "mark" && opening[token.text] !== undefined) {
      at = matching(code, at);
      if (code[at]?.text === "(" && code[at - 1]?.text !== ":") return at;
    } else if (token?.text === ";" || token?.text === "{") return at;
  }
  return 0;
}
