/**
 * A scanner for TypeScript: enough to tell code from comments, strings, templates and regular
 * expressions, so that the rules never trip over text. It builds no tree; TypeScript 7 offers none to
 * Node 20, and a rule that needs one belongs into the linter.
 */
export type TokenKind = "word" | "number" | "string" | "template" | "regex" | "mark" | "comment";

export interface Token {
  readonly kind: TokenKind;
  /** A string's content without its quotes; otherwise the text as written. A template is one token per piece of text. */
  readonly text: string;
  /** From 1. */
  readonly line: number;
}

// biome-ignore format: one line per kind
const marks = [
  ">>>=", "...", "===", "!==", "**=", "<<=", ">>=", ">>>", "&&=", "||=", "??=",
  "=>", "==", "!=", "<=", ">=", "&&", "||", "??", "?.", "++", "--", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<", "**",
];

/** After these words a slash begins a regular expression, after every other word it divides. */
const beforeExpression = new Set([
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
]);

const wordStart = /[\p{ID_Start}$_#@]/u;
const word = /[#@]?[\p{ID_Continue}$_\u200c\u200d]*/uy;
const number = /0[xob][\da-f_]+n?|(?:\d[\d_]*)?\.?\d[\d_]*(?:e[+-]?\d+)?n?/iy;

class Scanner {
  private readonly source: string;
  private readonly tokens: Token[] = [];
  private at = 0;
  private line = 1;
  /** For each open template expression, the depth of braces inside it. */
  private readonly templates: number[] = [];

  constructor(source: string) {
    this.source = source;
  }

  scan(): Token[] {
    if (this.source.startsWith("#!")) this.skipTo("\n");
    while (this.at < this.source.length) this.next();
    return this.tokens;
  }

  private next(): void {
    const character = this.source.charAt(this.at);
    const following = this.source.charAt(this.at + 1);
    if (character === "\n") this.line++;
    if (/\s/.test(character)) this.at++;
    else if (character === "/" && following === "/") this.take("comment", this.indexOr("\n", this.at));
    else if (character === "/" && following === "*") this.take("comment", this.indexOr("*/", this.at) + 2);
    else if (character === '"' || character === "'") this.takeString(character);
    else if (character === "`") this.takeTemplate();
    else if (character === "}" && this.templates.at(-1) === 0) {
      this.templates.pop();
      this.takeTemplate();
    } else if (/\d/.test(character) || (character === "." && /\d/.test(following))) this.takeMatch("number", number);
    else if (wordStart.test(character)) this.takeMatch("word", word);
    else if (character === "/" && this.expectsExpression()) this.takeRegex();
    else this.takeMark(character);
  }

  private indexOr(text: string, from: number): number {
    const index = this.source.indexOf(text, from);
    return index < 0 ? this.source.length : index;
  }

  private skipTo(text: string): void {
    this.at = this.indexOr(text, this.at);
  }

  private take(kind: TokenKind, end: number, text: string = this.source.slice(this.at, end)): void {
    this.tokens.push({ kind, text, line: this.line });
    for (let i = this.at; i < end && i < this.source.length; i++) if (this.source.charAt(i) === "\n") this.line++;
    this.at = end;
  }

  private takeMatch(kind: TokenKind, pattern: RegExp): void {
    pattern.lastIndex = this.at;
    const length = pattern.exec(this.source)?.[0].length ?? 1;
    this.take(kind, this.at + Math.max(1, length));
  }

  private takeString(quote: string): void {
    let end = this.at + 1;
    while (end < this.source.length && this.source.charAt(end) !== quote) end += this.source.charAt(end) === "\\" ? 2 : 1;
    this.take("string", end + 1, this.source.slice(this.at + 1, end));
  }

  /** From "`" or the "}" of an expression to the next "${" or the end. */
  private takeTemplate(): void {
    let end = this.at + 1;
    while (end < this.source.length) {
      const character = this.source.charAt(end);
      if (character === "\\") end += 2;
      else if (character === "`") return this.take("template", end + 1);
      else if (character === "$" && this.source.charAt(end + 1) === "{") {
        this.templates.push(0);
        return this.take("template", end + 2);
      } else end++;
    }
    this.take("template", end);
  }

  private takeRegex(): void {
    let end = this.at + 1;
    let inClass = false;
    while (end < this.source.length && (inClass || this.source.charAt(end) !== "/")) {
      const character = this.source.charAt(end);
      if (character === "[") inClass = true;
      else if (character === "]") inClass = false;
      end += character === "\\" ? 2 : 1;
    }
    end++;
    while (/[a-z]/.test(this.source.charAt(end))) end++;
    this.take("regex", end);
  }

  private takeMark(character: string): void {
    const open = this.templates.length - 1;
    if (character === "{" && open >= 0) this.templates[open] = (this.templates[open] ?? 0) + 1;
    if (character === "}" && open >= 0) this.templates[open] = (this.templates[open] ?? 0) - 1;
    const mark = marks.find((candidate) => this.source.startsWith(candidate, this.at)) ?? character;
    this.take("mark", this.at + mark.length);
  }

  private expectsExpression(): boolean {
    const previous = this.tokens.findLast((token) => token.kind !== "comment");
    if (previous === undefined) return true;
    if (previous.kind === "word") return beforeExpression.has(previous.text);
    if (previous.kind === "mark") return previous.text !== ")" && previous.text !== "]" && previous.text !== "}";
    return previous.kind === "template" && previous.text.endsWith("${");
  }
}

export function scanTokens(source: string): readonly Token[] {
  return new Scanner(source).scan();
}

/** The tokens that are no comments: what most rules read. */
export function codeOf(tokens: readonly Token[]): readonly Token[] {
  return tokens.filter((token) => token.kind !== "comment");
}
