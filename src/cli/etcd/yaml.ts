import { Mistake } from "../failure.ts";

/** What etcd's configuration file may hold: scalars as text, lists of scalars, and one level of named groups. */
export interface YamlGroup {
  readonly [name: string]: string | readonly string[] | YamlGroup;
}

interface Line {
  readonly number: number;
  readonly indent: number;
  readonly text: string;
}

/**
 * The part of YAML that etcd's configuration needs: `name: value`, quoted and plain scalars, lists in brackets or as lines with a dash, groups by
 * indentation, comments. Anything else is a `Mistake` that names its line: nothing is guessed.
 */
export function readYaml(text: string, path: string): YamlGroup {
  const lines: Line[] = [];
  text.split(/\r?\n/).forEach((raw, at) => {
    const content = withoutComment(raw);
    if (content.trim() === "" || content.trim() === "---") return;
    if (/^\s*\t/.test(content)) throw faulty(path, at + 1, "a tab cannot indent");
    lines.push({ number: at + 1, indent: content.length - content.trimStart().length, text: content.trim() });
  });
  const reader = new Reader(lines, path);
  return reader.group(lines[0]?.indent ?? 0, 0);
}

function faulty(path: string, line: number, reason: string): Mistake {
  return new Mistake(`${path}, line ${line}: ${reason}`, "write name: value lines, as in etcd's sample configuration");
}

/** A "#" begins a comment at the start of a line or after a space, outside of quotes. */
function withoutComment(line: string): string {
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at);
    if (quote !== "") quote = char === quote ? "" : quote;
    else if (char === "'" || char === '"') quote = char;
    else if (char === "#" && (at === 0 || /\s/.test(line.charAt(at - 1)))) return line.slice(0, at);
  }
  return line;
}

class Reader {
  private readonly lines: readonly Line[];
  private readonly path: string;
  private at = 0;

  constructor(lines: readonly Line[], path: string) {
    this.lines = lines;
    this.path = path;
  }

  group(indent: number, depth: number): YamlGroup {
    const found: Record<string, string | readonly string[] | YamlGroup> = {};
    for (let line = this.lines[this.at]; line !== undefined && line.indent >= indent; line = this.lines[this.at]) {
      if (line.indent > indent) throw faulty(this.path, line.number, "indented without a reason");
      const match = /^(?:"([^"]+)"|'([^']+)'|([A-Za-z0-9_.-]+))\s*:(?:\s+(.*))?$/.exec(line.text);
      if (match === null) throw faulty(this.path, line.number, `"${line.text}" is not understood`);
      const name = match[1] ?? match[2] ?? match[3] ?? "";
      if (Object.hasOwn(found, name)) throw faulty(this.path, line.number, `${name} stands there twice`);
      this.at++;
      found[name] = match[4] === undefined || match[4] === "" ? this.below(indent, depth) : this.value(match[4], line.number);
    }
    return found;
  }

  /** What stands under a name without a value of its own. */
  private below(indent: number, depth: number): string | readonly string[] | YamlGroup {
    const next = this.lines[this.at];
    if (next === undefined) return "";
    if (next.text.startsWith("- ") && next.indent >= indent) return this.dashes(next.indent);
    if (next.indent <= indent) return "";
    if (depth > 0) throw faulty(this.path, next.number, "groups hold no groups");
    return this.group(next.indent, depth + 1);
  }

  private dashes(indent: number): string[] {
    const items: string[] = [];
    for (let line = this.lines[this.at]; line?.indent === indent && line.text.startsWith("- "); line = this.lines[this.at]) {
      items.push(this.scalar(line.text.slice(2).trim(), line.number));
      this.at++;
    }
    return items;
  }

  private value(text: string, line: number): string | readonly string[] {
    if (!text.startsWith("[")) return this.scalar(text, line);
    if (!text.endsWith("]")) throw faulty(this.path, line, "a list in brackets ends on its line");
    const inner = text.slice(1, -1).trim();
    return inner === "" ? [] : inner.split(",").map((item) => this.scalar(item.trim(), line));
  }

  private scalar(text: string, line: number): string {
    const quoted = /^"([^"\\]*)"$|^'([^']*)'$/.exec(text);
    if (quoted !== null) return quoted[1] ?? quoted[2] ?? "";
    if (/^["'{&*!|>%@`]/.test(text)) throw faulty(this.path, line, `"${text}" is not understood`);
    return text === "null" || text === "~" ? "" : text;
  }
}
