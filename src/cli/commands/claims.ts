import type { Command } from "commander";
import { UnumError, parseDurationMs } from "../../base/index.ts";
import type { Child } from "../../ports/index.ts";
import type { Client, HeldSignal } from "../client.ts";
import { group, printJson, withClusterFlags, withJson } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import { Mistake } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { plainPaint, renderTable } from "../output.ts";
import type { Cell, Column } from "../output.ts";
import { withClient } from "../session.ts";
import type { ClusterFlags } from "../session.ts";

interface LockFlags extends ClusterFlags {
  readonly ttl?: string;
  readonly wait?: string;
  readonly shared?: boolean;
}

interface ElectFlags extends ClusterFlags {
  readonly ttl?: string;
  readonly data?: string;
}

interface ListFlags extends ClusterFlags {
  readonly json?: boolean;
}

/** A program that was told to end has this long before it is killed. */
const graceMs = 5_000;

export function addClaimCommands(program: Command, registry: Registry): void {
  const { context } = registry;
  withClusterFlags(program.command("lock").argument("<name>").argument("<command...>"))
    .usage("[options] <name> -- <command...>")
    .description("run a command while holding a lock; its fence is in UNUM_FENCE")
    .option("--ttl <TIME>", "after a crash the lock passes on after this time (default: 10s)")
    .option("--wait <TIME>", "give up waiting after this time (default: wait for ever)")
    .option("--shared", "as a reader: many at a time, and never with a holder of the lock itself")
    .passThroughOptions()
    .action(registry.action((name: string, words: string[], flags: LockFlags) => lock(context, name, words, flags)));
  withClusterFlags(program.command("elect").argument("<name>").argument("[command...]"))
    .usage("[options] <name> [-- <command...>]")
    .description("run a command whenever this process is the leader, until it ends by itself; without one, print the leaders")
    .option("--ttl <TIME>", "after a crash another leader follows after this time (default: 10s)")
    .option("--data <JSON>", "what others see of this leader")
    .passThroughOptions()
    .action(registry.action((name: string, words: string[], flags: ElectFlags) => elect(context, name, words, flags)));
  const schedule = group(program, "schedule", "look at schedules");
  withClusterFlags(withJson(schedule.command("list")))
    .description("what runs when, on how many participants, and how it went")
    .action(registry.action((flags: ListFlags) => listSchedules(context, flags)));
}

function timeFlag(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = parseDurationMs(text);
  if (ms === undefined || ms <= 0) throw new Mistake(`${flag} takes a time, not "${text}"`, `for example: ${flag} 30s`);
  return ms;
}

/** The program and its arguments; "--" only keeps its options from being ours. Options of ours behind the name would be taken for it. */
function programOf(words: readonly string[]): readonly string[] {
  const [first = ""] = words;
  if (first === "--") return words.slice(1);
  if (first.startsWith("-"))
    throw new Mistake(`options stand before the name: "${first}" came after it`, "for example: unum lock --ttl 30s NAME -- ./job.sh");
  return words;
}

async function lock(context: CliContext, name: string, given: readonly string[], flags: LockFlags): Promise<ExitCode> {
  const words = programOf(given);
  if (words.length === 0) throw new Mistake("there is no command to run under the lock", `for example: unum lock ${name} -- ./job.sh`);
  const ttl = timeFlag("--ttl", flags.ttl);
  const timeout = timeFlag("--wait", flags.wait);
  return withClient(context, flags, `waiting for the lock "${name}"`, async (client, progress) => {
    await reach(client);
    const claim = await client.lock(name, { ttl, timeout, shared: flags.shared === true });
    progress.done();
    try {
      return await runHolding(context, words, claim, name);
    } finally {
      await claim.close();
    }
  });
}

/** The program's exit code; rejects with CLAIM_LOST when it had to be ended because the claim was over. */
async function runHolding(context: CliContext, words: readonly string[], claim: HeldSignal, name: string): Promise<ExitCode> {
  const [program = "", ...args] = words;
  const child = context.processes.run({ program, args, environment: { UNUM_FENCE: String(claim.fence), UNUM_LOCK: name } });
  let lost = false;
  const onLost = (): void => {
    lost = true;
    end(context, child);
  };
  if (claim.signal.aborted) onLost();
  else claim.signal.addEventListener("abort", onLost);
  const releases = (["SIGINT", "SIGTERM", "SIGHUP"] as const).map((signal) =>
    // Ctrl-C reaches the program by itself, since it shares our terminal; we wait for it and give the claim up.
    context.processes.onSignal(signal, () => {
      if (signal !== "SIGINT") child.kill(signal);
    }),
  );
  try {
    const { code, signal } = await child.exited;
    if (lost && !claim.held) throw new UnumError("CLAIM_LOST", `The claim "${name}" ended while the command ran; the command was ended.`);
    if (signal !== null) return 128 + (signalNumbers[signal] ?? 0);
    return code ?? 1;
  } finally {
    for (const release of releases) release();
  }
}

const signalNumbers: Readonly<Record<string, number>> = { SIGHUP: 1, SIGINT: 2, SIGQUIT: 3, SIGKILL: 9, SIGTERM: 15 };

function end(context: CliContext, child: Child): void {
  child.kill("SIGTERM");
  const timer = context.clock.after(graceMs, () => child.kill("SIGKILL"));
  void child.exited.then(() => timer.cancel());
}

async function elect(context: CliContext, name: string, given: readonly string[], flags: ElectFlags): Promise<ExitCode> {
  const words = programOf(given);
  const ttl = timeFlag("--ttl", flags.ttl);
  const data = readData(flags.data);
  if (words.length === 0) return withClient(context, flags, "asking for the leader", (client) => printLeaders(context, client, name));
  return withClient(context, flags, `standing for "${name}"`, async (client, progress) => {
    await reach(client);
    let result: ExitCode | undefined;
    const participation = client.election(name).run(
      async (claim) => {
        progress.done();
        try {
          result = await runHolding(context, words, claim, name);
        } catch (error) {
          // The leadership passed on: stand again.
          context.stderr.write(`unum: ${error instanceof Error ? error.message : String(error)}\n`);
          return;
        }
        void participation.close();
      },
      { ttl, data },
    );
    await participation.closed;
    return result ?? 1;
  });
}

function readData(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    // As with `kv put`: what is no JSON is a text.
    return text;
  }
}

/** A wait has no end of its own, so that a wrong endpoint must show before it begins. */
async function reach(client: Client): Promise<void> {
  await client.nodeStatus();
}

async function printLeaders(context: CliContext, client: Client, name: string): Promise<ExitCode> {
  for await (const leader of client.election(name).observe()) {
    context.stdout.write(`${JSON.stringify(leader === undefined ? null : { fence: leader.fence, data: leader.data ?? null })}\n`);
  }
  return 0;
}

const scheduleColumns: readonly Column[] = [
  { title: "name", align: "left" },
  { title: "when", align: "left" },
  { title: "participants", align: "right" },
  { title: "next", align: "left" },
  { title: "last", align: "left" },
  { title: "outcome", align: "left" },
];

async function listSchedules(context: CliContext, flags: ListFlags): Promise<ExitCode> {
  return withClient(context, flags, "asking for the schedules", async (client) => {
    const schedules = await client.schedules();
    if (flags.json === true) {
      printJson(context, { schedules });
      return 0;
    }
    const rows = schedules.map(({ history, name, next, participants, timezone, when }): Cell[] => {
      const [last] = history;
      const what = last === undefined ? "-" : `${last.outcome}${last.attempt > 1 ? ` at attempt ${last.attempt}` : ""}`;
      return [
        { text: name },
        { text: timezone === "" ? when : `${when} ${timezone}` },
        { text: String(participants) },
        { text: next?.toISOString() ?? "-" },
        { text: last?.at.toISOString() ?? "-" },
        { text: what },
      ];
    });
    for (const line of renderTable(scheduleColumns, rows, plainPaint)) context.stdout.write(`${line}\n`);
    for (const { disagreement, name, when } of schedules) {
      if (disagreement.length > 0)
        context.stderr.write(`warning: participants of ${name} disagree: "${when}" holds, others say "${disagreement.join('", "')}"\n`);
    }
    return 0;
  });
}
