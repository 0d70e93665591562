import type { Command } from "commander";
import { isAddressText } from "../../base/index.ts";
import { group, printJson, tableOption, withClusterFlags, withJson, withYes } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import { Mistake } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { Progress, formatBytes, formatCount, isLively, plural } from "../output.ts";
import { confirm, withClient } from "../session.ts";
import type { ClusterFlags } from "../session.ts";

export function addSnapshotCommands(program: Command, registry: Registry): void {
  const { context } = registry;
  const snapshot = group(program, "snapshot", "save and restore backups");
  withYes(withClusterFlags(withJson(snapshot.command("save").argument("<file>", '"-" writes to standard output'))))
    .description("write a backup of a running cluster to a file")
    .option("--keyspace <NAME,…>", "only these keyspaces (default: all)")
    .action(registry.action((file: string, flags: SaveFlags) => save(context, file, flags)));
  withJson(snapshot.command("restore").argument("<file>", '"-" reads standard input'))
    .description("fill an empty data directory from a backup: a cluster with a new id, which other nodes may join")
    .addOption(tableOption("data").makeOptionMandatory())
    .addOption(tableOption("name"))
    .addOption(tableOption("advertise"))
    .action(registry.action((file: string, flags: RestoreFlags) => restore(context, file, flags)));
}

export function addRecoverCommand(program: Command, registry: Registry): void {
  withYes(withJson(program.command("recover")))
    .description("a majority of the voters is lost for good: make the node of a directory a cluster of one; may lose acknowledged writes")
    .addOption(tableOption("data").makeOptionMandatory())
    .action(registry.action((flags: RecoverFlags) => recover(registry.context, flags)));
}

interface SaveFlags extends ClusterFlags {
  readonly json?: boolean;
  readonly yes?: boolean;
  readonly keyspace?: string;
}

async function save(context: CliContext, file: string, flags: SaveFlags): Promise<ExitCode> {
  const keyspaces = flags.keyspace
    ?.split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (file === "-" && flags.json === true) throw new Mistake("--json and the backup cannot both go to standard output", "name a file");
  if (file !== "-" && (await context.files.exists(file)) && !(await confirm(context, `overwrite ${file}`, flags.yes === true))) return 1;
  return withClient(context, flags, `saving to ${file}`, async (client, progress) => {
    const chunks = client.snapshotSave({ keyspaces });
    const bytes = file === "-" ? await saveToOutput(context, chunks) : await saveToFile(context, file, chunks, progress);
    if (flags.json === true) printJson(context, { file, bytes });
    else context.stderr.write(`saved ${formatBytes(bytes)}${file === "-" ? "" : ` to ${file}`}\n`);
    return 0;
  });
}

async function saveToFile(context: CliContext, file: string, chunks: AsyncIterable<Uint8Array>, progress: Progress): Promise<number> {
  const sink = await context.files.create(file);
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      await sink.write(chunk);
      bytes += chunk.length;
      progress.update(`saving to ${file}, ${formatBytes(bytes)}`);
    }
  } catch (error) {
    await sink.abandon();
    throw error;
  }
  await sink.finish();
  return bytes;
}

async function saveToOutput(context: CliContext, chunks: AsyncIterable<Uint8Array>): Promise<number> {
  if (context.stdout.terminal) throw new Mistake("a backup is binary, and standard output is a terminal", "redirect it, or name a file");
  let bytes = 0;
  for await (const chunk of chunks) {
    context.stdout.write(chunk);
    await context.stdout.drained();
    bytes += chunk.length;
  }
  return bytes;
}

interface RestoreFlags {
  readonly data: string;
  readonly name?: string;
  readonly advertise?: string;
  readonly json?: boolean;
}

async function restore(context: CliContext, file: string, flags: RestoreFlags): Promise<ExitCode> {
  if (flags.advertise !== undefined && !isAddressText(flags.advertise)) {
    throw new Mistake(`--advertise takes host:port, not "${flags.advertise}"`, "for example: --advertise 127.0.0.1:7400");
  }
  if (file !== "-" && !(await context.files.exists(file)))
    throw new Mistake(`there is no file "${file}"`, "name a file that unum snapshot save wrote");
  const progress = new Progress(
    context.stderr,
    context.clock,
    isLively(context.stderr, context.processes.environment),
    `restoring ${file}`,
  );
  try {
    const backup = file === "-" ? once(await context.stdin.readAll()) : context.files.stream(file);
    const report = await context.offline.restore({ backup, data: flags.data, name: flags.name, advertise: flags.advertise });
    progress.done();
    if (flags.json === true) printJson(context, report);
    else {
      context.stdout.write(`cluster ${report.cluster} in ${flags.data}\n`);
      for (const item of report.keyspaces) context.stdout.write(`  ${item.name}: ${plural(item.keys, "key")}, revision ${item.revision}\n`);
      context.stderr.write(`start it with: unum start --data ${flags.data}\n`);
    }
    return 0;
  } finally {
    progress.done();
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes;
}

interface RecoverFlags {
  readonly data: string;
  readonly yes?: boolean;
  readonly json?: boolean;
}

async function recover(context: CliContext, flags: RecoverFlags): Promise<ExitCode> {
  const plan = await context.offline.planRecovery({ data: flags.data });
  context.stderr.write(`${flags.data} holds node ${plan.name} of cluster ${plan.cluster}.\n`);
  context.stderr.write(
    "It becomes a cluster of one. What the lost voters had acknowledged without it is gone, and they may never return.\n",
  );
  for (const item of plan.groups) {
    const lost = item.votersLost.length === 0 ? "no voter is given up" : `gives up ${item.votersLost.join(", ")}`;
    context.stderr.write(
      `  ${item.name}: last entry ${formatCount(item.lastIndex)} of term ${item.lastTerm}, known committed ${formatCount(item.commit)}, revision ${item.revision}; ${lost}\n`,
    );
  }
  if (plan.keyspacesLost.length > 0) context.stderr.write(`  no copy here, given up as a whole: ${plan.keyspacesLost.join(", ")}\n`);
  if (!(await confirm(context, `recover ${flags.data} as it is`, flags.yes === true))) return 1;
  const progress = new Progress(context.stderr, context.clock, isLively(context.stderr, context.processes.environment), "recovering");
  let kept: string;
  try {
    ({ kept } = await context.offline.recover({ data: flags.data }));
  } finally {
    progress.done();
  }
  if (flags.json === true) printJson(context, { recovered: true, kept, ...plan });
  else {
    context.stdout.write(`recovered; start it with: unum start --data ${flags.data}\n`);
    context.stderr.write(`the old directory is kept as ${kept}\n`);
  }
  return 0;
}
