import type { Command } from "commander";
import type { StoredChange, StoredEvent } from "../client.ts";
import { optionalCount, printJson } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import { Mistake } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { withClient } from "../session.ts";
import { entryJson, keyFields, valueText } from "../values.ts";
import { storeOf, withKvFlags } from "./kv-flags.ts";
import type { KvFlags } from "./kv-flags.ts";

interface WatchFlags extends KvFlags {
  readonly prefix?: string;
  readonly from?: string;
  readonly limit?: string;
}

export function addWatchCommand(kv: Command, registry: Registry): void {
  withKvFlags(kv.command("watch").argument("[key]", "one key; without it and without --prefix, all keys"))
    .description("print changes as they happen, until Ctrl-C")
    .option("--prefix <PREFIX>", "all keys that begin so")
    .option("--from <REVISION>", "also what happened since this revision")
    .option("--limit <N>", "end after so many events")
    .action(registry.action((key: string | undefined, flags: WatchFlags) => watch(registry.context, key, flags)));
}

async function watch(context: CliContext, key: string | undefined, flags: WatchFlags): Promise<ExitCode> {
  if (key !== undefined && flags.prefix !== undefined)
    throw new Mistake("kv watch takes a key or --prefix, not both", "see: unum kv watch --help");
  const target = key === undefined || key === "" ? { prefix: flags.prefix ?? "" } : { key };
  const from = optionalCount("--from", flags.from, 1);
  const limit = optionalCount("--limit", flags.limit, 1) ?? Number.POSITIVE_INFINITY;
  return withClient(context, flags, "connecting", async (client, progress) => {
    const stream = storeOf(client, flags).watch(target, { from });
    const releases = (["SIGINT", "SIGTERM"] as const).map((signal) => context.processes.onSignal(signal, () => void stream.close()));
    try {
      const started = await stream.started;
      progress.done();
      context.stderr.write(`watching from revision ${started}\n`);
      let seen = 0;
      for await (const change of stream) {
        if (flags.json === true) printJson(context, changeJson(change));
        else for (const event of change.events) context.stdout.write(`${eventLine(change.revision, event)}\n`);
        seen += change.events.length;
        if (seen >= limit) break;
      }
      return 0;
    } finally {
      for (const release of releases) release();
      await stream.close();
    }
  });
}

/** revision, what happened, key, value; tabs between. */
function eventLine(revision: number, event: StoredEvent): string {
  const parts = [String(revision), event.kind, valueText(event.keyBytes)];
  if (event.kind === "put") parts.push(valueText(event.entry.value));
  return parts.join("\t");
}

/** One line per revision; the events of one transaction stay together. */
function changeJson(change: StoredChange): unknown {
  return {
    revision: change.revision,
    events: change.events.map((event) => ({
      kind: event.kind,
      ...(event.kind === "put" ? entryJson(event.entry) : keyFields(event.key, event.keyBytes)),
    })),
  };
}
