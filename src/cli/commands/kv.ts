import type { Command } from "commander";
import { parseDurationMs, utf8Encode, utf8TryDecode } from "../../base/index.ts";
import type { KeySpan } from "../client.ts";
import { group, optionalCount, printJson, withYes } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import { Failure, Mistake } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { confirm, withClient } from "../session.ts";
import { encodeValue, entryJson, valueText } from "../values.ts";
import { checkKey, storeOf, withKvFlags } from "./kv-flags.ts";
import type { KvFlags } from "./kv-flags.ts";
import { addRangeCommand } from "./range.ts";
import { addTxnCommand } from "./txn.ts";
import { addWatchCommand } from "./watch.ts";

export function addKvCommands(program: Command, registry: Registry): void {
  const kv = group(program, "kv", "read, write and watch keys");
  withKvFlags(
    kv.command("put").argument("<key>").argument("<value>", 'JSON, or text that is stored as a JSON string; "-" reads standard input'),
  )
    .description("store a value")
    .option("--raw", "store the bytes as they are")
    .option("--ttl <TIME>", "delete the key after this time")
    .option("--if-revision <N>", "only if the key is at this revision; 0: only if it does not exist")
    .action(registry.action((key: string, value: string, flags: PutFlags) => put(registry.context, key, value, flags)));
  withKvFlags(kv.command("get").argument("<key>"))
    .description("print a value as it is stored; exit 1 when there is none")
    .option("--raw", "print the bytes without a newline")
    .option("--revision <N>", "as it was at this revision")
    .option("--stale", "whatever the node asked has applied, without asking the others")
    .action(registry.action((key: string, flags: GetFlags) => get(registry.context, key, flags)));
  withYes(withKvFlags(kv.command("del").argument("[key]")))
    .description("delete a key, or all keys with a prefix")
    .option("--prefix <PREFIX>", "all keys that begin so")
    .option("--if-revision <N>", "only if the key is at this revision")
    .action(registry.action((key: string | undefined, flags: DeleteFlags) => del(registry.context, key, flags)));
  addRangeCommand(kv, registry);
  addWatchCommand(kv, registry);
  addTxnCommand(kv, registry);
}

interface PutFlags extends KvFlags {
  readonly raw?: boolean;
  readonly ttl?: string;
  readonly ifRevision?: string;
}

async function put(context: CliContext, key: string, text: string, flags: PutFlags): Promise<ExitCode> {
  checkKey(key);
  const ttl = flags.ttl === undefined ? undefined : parseDurationMs(flags.ttl);
  if (flags.ttl !== undefined && ttl === undefined) throw new Mistake(`--ttl takes a time, not "${flags.ttl}"`, "for example: --ttl 30s");
  const ifRevision = optionalCount("--if-revision", flags.ifRevision, 0);
  const value = await readValue(context, text, flags.raw === true);
  return withClient(context, flags, `putting "${key}"`, async (client) => {
    const { revision } = await storeOf(client, flags).put(key, value, { ttl, ifRevision });
    if (flags.json === true) printJson(context, { key, revision });
    else context.stdout.write(`revision ${revision}\n`);
    return 0;
  });
}

async function readValue(context: CliContext, text: string, raw: boolean): Promise<Uint8Array> {
  if (text !== "-") return raw ? utf8Encode(text) : encodeValue(text);
  if (context.stdin.terminal) context.stderr.write("reading the value from the terminal; end it with Ctrl-D\n");
  const bytes = await context.stdin.readAll();
  if (raw) return bytes;
  const decoded = utf8TryDecode(bytes);
  if (decoded === undefined) throw new Mistake("standard input is not UTF-8 text", "add --raw to store the bytes as they are");
  return encodeValue(decoded.replace(/\r?\n$/, ""));
}

interface GetFlags extends KvFlags {
  readonly raw?: boolean;
  readonly revision?: string;
  readonly stale?: boolean;
}

async function get(context: CliContext, key: string, flags: GetFlags): Promise<ExitCode> {
  checkKey(key);
  const revision = optionalCount("--revision", flags.revision, 1);
  return withClient(context, flags, `getting "${key}"`, async (client) => {
    const entry = await storeOf(client, flags).get(key, { revision, consistency: flags.stale === true ? "stale" : undefined });
    if (entry === undefined) throw new Failure("NOT_FOUND", `there is no key "${key}"`);
    if (flags.json === true) printJson(context, entryJson(entry));
    else if (flags.raw === true) context.stdout.write(entry.value);
    else if (context.stdout.terminal) context.stdout.write(`${valueText(entry.value)}\n`);
    else {
      context.stdout.write(entry.value);
      context.stdout.write("\n");
    }
    return 0;
  });
}

interface DeleteFlags extends KvFlags {
  readonly prefix?: string;
  readonly ifRevision?: string;
  readonly yes?: boolean;
}

async function del(context: CliContext, key: string | undefined, flags: DeleteFlags): Promise<ExitCode> {
  const target = deleteTarget(key, flags.prefix);
  const ifRevision = optionalCount("--if-revision", flags.ifRevision, 1);
  if (typeof target !== "string" && ifRevision !== undefined)
    throw new Mistake("--if-revision needs one key, not a prefix", "name the key instead of --prefix");
  return withClient(context, flags, "deleting", async (client, progress) => {
    const store = storeOf(client, flags);
    if (typeof target !== "string" && flags.yes !== true) {
      const { count } = await store.range(target, { limit: 1 });
      const agreed = await confirm(
        context,
        `delete ${count} key${count === 1 ? "" : "s"} with the prefix "${flags.prefix ?? ""}"`,
        false,
        progress,
      );
      if (!agreed) return 1;
    }
    const result = await store.delete(target, { ifRevision });
    if (flags.json === true) printJson(context, { deleted: result.deleted, revision: result.revision });
    else context.stdout.write(`deleted ${result.deleted}, revision ${result.revision}\n`);
    return 0;
  });
}

function deleteTarget(key: string | undefined, prefix: string | undefined): string | KeySpan {
  if (key !== undefined && prefix !== undefined) throw new Mistake("kv del takes a key or --prefix, not both", "see: unum kv del --help");
  if (prefix !== undefined) return { prefix };
  if (key === undefined) throw new Mistake("kv del needs a key or --prefix", "for example: unum kv del greeting");
  checkKey(key);
  return key;
}
