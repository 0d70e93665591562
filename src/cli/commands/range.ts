import type { Command } from "commander";
import type { KeySpan, Store, StoredEntry, StoredPage } from "../client.ts";
import { optionalCount, printJson } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import { Mistake } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { withClient } from "../session.ts";
import { entryJson, keyFields, valueText } from "../values.ts";
import { storeOf, withKvFlags } from "./kv-flags.ts";
import type { KvFlags } from "./kv-flags.ts";

interface RangeFlags extends KvFlags {
  readonly prefix?: string;
  readonly limit?: string;
  readonly revision?: string;
  readonly stale?: boolean;
  readonly keys?: boolean;
  readonly count?: boolean;
}

export function addRangeCommand(kv: Command, registry: Registry): void {
  withKvFlags(kv.command("range").argument("[from]", "first key").argument("[to]", "first key beyond"))
    .description("print keys and values in the order of the keys' bytes: all, from a key on, or with a prefix")
    .option("--prefix <PREFIX>", "all keys that begin so")
    .option("--limit <N>", "at most so many")
    .option("--keys", "only the keys")
    .option("--count", "only how many there are")
    .option("--revision <N>", "as it was at this revision")
    .option("--stale", "whatever the node asked has applied, without asking the others")
    .action(
      registry.action((from: string | undefined, to: string | undefined, flags: RangeFlags) => range(registry.context, from, to, flags)),
    );
}

/** What a read of many keys is about; nothing said means all keys. */
export function spanOf(from: string | undefined, to: string | undefined, prefix: string | undefined): KeySpan {
  if (prefix !== undefined && from !== undefined)
    throw new Mistake("takes either a first key or --prefix, not both", "see: unum kv range --help");
  if (prefix !== undefined || from === undefined || from === "") return { prefix: prefix ?? "" };
  return to === undefined ? { from } : { from, to };
}

const pageEntries = 1000;

async function range(context: CliContext, from: string | undefined, to: string | undefined, flags: RangeFlags): Promise<ExitCode> {
  const span = spanOf(from, to, flags.prefix);
  const limit = optionalCount("--limit", flags.limit, 1);
  const revision = optionalCount("--revision", flags.revision, 1);
  return withClient(context, flags, "reading", async (client) => {
    const store = storeOf(client, flags);
    const read = { revision, consistency: flags.stale === true ? ("stale" as const) : undefined };
    if (flags.count === true) {
      const page = await store.range(span, { ...read, limit: 1 });
      if (flags.json === true) printJson(context, { revision: page.revision, count: page.count });
      else context.stdout.write(`${page.count}\n`);
      return 0;
    }
    const first = await store.range(span, { ...read, limit: Math.min(pageEntries, limit ?? pageEntries) });
    const printer = flags.json === true ? new JsonPrinter(context, flags.keys === true) : new LinePrinter(context, flags.keys === true);
    printer.begin(first);
    const left = await printPages(store, first, span, { ...read, revision: revision ?? first.revision }, limit, printer);
    await context.stdout.drained();
    printer.end(left);
    return 0;
  });
}

interface Printer {
  begin(first: StoredPage): void;
  entry(entry: StoredEntry): void;
  end(more: boolean): void;
}

/** All pages at the revision of the first one. True when the limit cut the range off. */
async function printPages(
  store: Store,
  first: StoredPage,
  span: KeySpan,
  read: { readonly revision: number; readonly consistency: "stale" | undefined },
  limit: number | undefined,
  printer: Printer,
): Promise<boolean> {
  let page = first;
  let printed = 0;
  for (;;) {
    for (const entry of page.entries) printer.entry(entry);
    printed += page.entries.length;
    const last = page.entries.at(-1);
    if (!page.more || last === undefined) return false;
    const rest = limit === undefined ? pageEntries : Math.min(pageEntries, limit - printed);
    if (rest <= 0) return true;
    page = await store.range(spanAfter(span, last), { ...read, limit: rest });
  }
}

/** The same span from behind an entry on. */
export function spanAfter(span: KeySpan, last: StoredEntry): KeySpan {
  const from = `${last.key}\u0000`;
  if ("prefix" in span) {
    const to = prefixEnd(span.prefix);
    return to === undefined ? { from } : { from, to };
  }
  return span.to === undefined ? { from } : { from, to: span.to };
}

/** The first text beyond all that begin with `prefix`; undefined when there is none. */
export function prefixEnd(prefix: string): string | undefined {
  const points = [...prefix];
  while (points.length > 0) {
    const last = points.pop()?.codePointAt(0) ?? 0x10ffff;
    // Surrogates have no UTF-8 form, so the successor of U+D7FF is U+E000.
    if (last < 0x10ffff) return points.join("") + String.fromCodePoint(last === 0xd7ff ? 0xe000 : last + 1);
  }
  return undefined;
}

class LinePrinter implements Printer {
  private readonly context: CliContext;
  private readonly keysOnly: boolean;

  constructor(context: CliContext, keysOnly: boolean) {
    this.context = context;
    this.keysOnly = keysOnly;
  }

  begin(): void {
    // Lines need no frame around them.
  }

  entry(entry: StoredEntry): void {
    const key = valueText(entry.keyBytes);
    this.context.stdout.write(this.keysOnly ? `${key}\n` : `${key}\t${valueText(entry.value)}\n`);
  }

  end(more: boolean): void {
    if (more) this.context.stderr.write("there is more; raise --limit\n");
  }
}

/** One document, written as it arrives: a keyspace of any size passes through. */
class JsonPrinter implements Printer {
  private readonly context: CliContext;
  private readonly keysOnly: boolean;
  private separator = "";

  constructor(context: CliContext, keysOnly: boolean) {
    this.context = context;
    this.keysOnly = keysOnly;
  }

  begin(first: StoredPage): void {
    this.context.stdout.write(`{"revision":${first.revision},"count":${first.count},"entries":[`);
  }

  entry(entry: StoredEntry): void {
    this.context.stdout.write(this.separator + JSON.stringify(this.keysOnly ? keyFields(entry.key, entry.keyBytes) : entryJson(entry)));
    this.separator = ",";
  }

  end(more: boolean): void {
    this.context.stdout.write(`],"more":${more}}\n`);
  }
}
