/**
 * Writes the reference pages that follow from tables in the code, so that they cannot drift from it.
 *
 *     npm run docs                     writes docs/errors.md, docs/limits.md, docs/options.md, docs/reference/etcd-flags.md
 *     node dist/tools/pages.js --check exit 1 when a page is not current
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
import type * as tables from "../src/base/index.ts";
import type * as etcdTable from "../src/cli/etcd/flags.ts";
import { isMain, pathOf } from "./files.ts";

/** The tables. A tool reads them from the build, a test from the sources. */
export type Base = typeof tables;

export type EtcdTable = typeof etcdTable;

const generated = (source: string): string => `<!-- Made by \`npm run docs\` from ${source}: edit that file. -->\n`;

const effects = { "not-applied": "It had no effect.", unknown: "It may have had its effect, or not." } as const;
const retries = {
  safe: "Repeating the call is harmless.",
  "maybe-applied": "Repeating the call may apply it twice, unless it is conditional.",
  never: "Repeating the same call gives the same answer.",
} as const;

export function errorsPage({ errorTable }: Base): string {
  const codes = Object.keys(errorTable) as tables.ErrorCode[];
  const sections = codes.map((code) => {
    const row = errorTable[code];
    return `## ${code}\n\n${row.meaning}\n\n* **What to do:** ${row.remedy}\n* **Effect of the call:** ${effects[row.outcome]}\n* **Retry:** ${retries[row.retry]}\n`;
  });
  return `${generated("src/base/errors.ts")}
# Errors

Every rejection of Unum's is a \`UnumError\` with a \`code\` from this page, an \`outcome\` (\`not-applied\` or \`unknown\`) and a \`retry\` (\`safe\`,
\`maybe-applied\` or \`never\`). Tell it by \`isUnumError(error, "FENCED")\`, never by \`instanceof\` or by its text: texts may improve, codes never change
their meaning. Effect and retry below are what holds unless the error itself knows better: read \`error.outcome\` and \`error.retry\`. A call that was
aborted rejects with its signal's reason instead.

${sections.join("\n")}`;
}

export interface LimitText {
  readonly name: string;
  readonly text: string;
}

/** The comment in front of each limit. Throws when one has none: a limit says its reason. */
export function limitTexts(limits: Base["limits"], source: string): readonly LimitText[] {
  const body = source.slice(source.indexOf("export const limits"));
  const texts = new Map<string, string>();
  for (const match of body.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*(\w+):/g)) {
    const text = (match[1] ?? "").replace(/\s*\n\s*\*?\s*/g, " ").trim();
    texts.set(match[2] ?? "", text);
  }
  return Object.keys(limits).map((name) => {
    const text = texts.get(name);
    if (text === undefined) throw new Error(`the limit ${name} has no comment of its own in src/base/limits.ts`);
    return { name, text };
  });
}

/** A limit as a reader measures it: bytes in KiB and MiB, times in seconds and minutes. */
export function formatLimit(name: string, value: number): string {
  const scaled = (units: readonly (readonly [number, string])[]): string | undefined => {
    const unit = units.find(([size]) => value >= size && value % size === 0);
    return unit === undefined ? undefined : `${value / unit[0]} ${unit[1]}`;
  };
  const plain = value.toLocaleString("en-US");
  if (name.includes("Bytes"))
    return (
      scaled([
        [1024 ** 3, "GiB"],
        [1024 ** 2, "MiB"],
        [1024, "KiB"],
      ]) ?? `${plain} bytes`
    );
  if (name.includes("Ms"))
    return (
      scaled([
        [3_600_000, "h"],
        [60_000, "min"],
        [1000, "s"],
      ]) ?? `${plain} ms`
    );
  if (name.includes("Seconds")) return `${plain} s`;
  return name.endsWith("Ratio") ? `${value * 100} %` : plain;
}

export function limitsPage({ limits }: Base, source: string): string {
  const rows = limitTexts(limits, source).map(
    ({ name, text }) => `| \`${name}\` | ${formatLimit(name, limits[name as keyof typeof limits])} | ${text} |`,
  );
  return `${generated("src/base/limits.ts")}
# Limits

**A keyspace's data must fit in memory**: ${formatLimit("keyspaceBytesMax", limits.keyspaceBytesMax)} unless \`maxBytes\` says otherwise. At the limit puts answer \`OVER_QUOTA\`, reads and
deletes go on, and it lifts by itself; \`unum status\` shows the fill. A node counts what all its keyspaces, their history, its logs' tails and its buffers take
against one budget, \`memory\`; with less than ${formatLimit("memoryHeadroomRatio", limits.memoryHeadroomRatio)} of it left at any voter, growing writes answer \`OUT_OF_SPACE\`.

Everything has a limit, and nothing is dropped in silence: a request beyond one is refused with the code named here, or its sender is slowed down.

| limit | value | why, and what happens there |
|---|---|---|
${rows.join("\n")}
`;
}

function optionLines({ optionFlag, optionNames, optionTable }: Base, scope: tables.OptionScope): string {
  const rows = optionNames(scope).map((name) => {
    const row: tables.OptionRow = optionTable[name];
    const fallback = row.fallback === undefined ? row.otherwise || (row.kind === "switch" ? "off" : "–") : `\`${row.fallback}\``;
    const value = row.placeholder === "" ? "" : ` ${row.placeholder.replaceAll("|", "\\|")}`;
    return `| \`${name}\` | \`${optionFlag(name)}${value}\` | \`${row.environment}\` | ${fallback} | ${row.meaning} |`;
  });
  return `| option | flag | variable | default | what it does |\n|---|---|---|---|---|\n${rows.join("\n")}\n`;
}

export function optionsPage(base: Base): string {
  return `${generated("src/base/options.ts")}
# Options

A value comes from the option or the flag, else from the environment variable, else from the default. Times are milliseconds or text such as \`250ms\`,
\`10s\`, \`5m\`; sizes are bytes or text such as \`64MiB\`.

## A node: \`start(options)\`, \`unum start\`

${optionLines(base, "node")}
## A client: \`connect(url, options)\`, every other command

${optionLines(base, "client")}`;
}

const treatments = {
  used: ["Used", ""],
  accepted: ["Accepted, without effect", "They may stand there; the log names them once."],
  refused: ["Refused", "Unless their value asks for nothing: etcd's default, or none."],
} as const;

export function etcdFlagsPage({ etcdFlagNames, etcdFlags, etcdVariableOf }: EtcdTable): string {
  const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("*", "\\*");
  const sections = (Object.keys(treatments) as (keyof typeof treatments)[]).map((treatment) => {
    const rows = etcdFlagNames
      .filter((name) => etcdFlags[name].treatment === treatment)
      .map((name) => {
        const { fallback, meaning } = etcdFlags[name];
        return `| \`--${name}\` | \`${etcdVariableOf(name)}\` | ${fallback === "" ? "–" : `\`${fallback}\``} | ${cell(meaning)} |`;
      });
    const [title, note] = treatments[treatment];
    return `## ${title}\n\n${note === "" ? "" : `${note}\n\n`}| flag | variable | etcd's default | here |\n|---|---|---|---|\n${rows.join("\n")}\n`;
  });
  return `${generated("src/cli/etcd/flags.ts")}
# Flags of \`unum etcd\`

Every flag of etcd 3.4 and 3.6. Names that etcd has with \`experimental-\` in front are known that way, too. A flag comes before its variable; with
\`--config-file\` both are ignored, as etcd ignores them. A flag that etcd does not have is refused. Options of Unum's that etcd has no flag for
(\`UNUM_MEMORY\`, \`UNUM_ZONE\` and so on) are read from [their variables](../options.md).

${sections.join("\n")}`;
}

/** Each page by its path. */
export function makePages(base: Base, etcd: EtcdTable): ReadonlyMap<string, string> {
  return new Map([
    ["docs/errors.md", errorsPage(base)],
    ["docs/limits.md", limitsPage(base, readFileSync(pathOf("src/base/limits.ts"), "utf8"))],
    ["docs/options.md", optionsPage(base)],
    ["docs/reference/etcd-flags.md", etcdFlagsPage(etcd)],
  ]);
}

async function main(check: boolean): Promise<number> {
  let stale = 0;
  const base = (await import(pathToFileURL(pathOf("dist/base/index.js")).href)) as Base;
  const etcd = (await import(pathToFileURL(pathOf("dist/cli/etcd/flags.js")).href)) as EtcdTable;
  for (const [path, text] of makePages(base, etcd)) {
    const current = existsSync(pathOf(path)) ? readFileSync(pathOf(path), "utf8") : undefined;
    if (current === text) continue;
    stale++;
    if (check) console.error(`${path} is not current; run "npm run docs"`);
    else writeFileSync(pathOf(path), text);
    if (!check) console.log(`${path} written`);
  }
  return check && stale > 0 ? 1 : 0;
}

if (isMain(import.meta.url)) process.exitCode = await main(process.argv.includes("--check"));
