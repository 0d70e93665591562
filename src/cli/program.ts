import { Command, CommanderError } from "commander";
import { isUnumError } from "../base/index.ts";
import { addBenchCommand } from "./bench/command.ts";
import { commandPath, refuseUnknownCommand } from "./command.ts";
import type { Registry } from "./command.ts";
import { addClaimCommands } from "./commands/claims.ts";
import { addClusterCommands } from "./commands/cluster.ts";
import { addCompletionCommand } from "./commands/completion.ts";
import { addKvCommands } from "./commands/kv.ts";
import { addRecoverCommand, addSnapshotCommands } from "./commands/snapshot.ts";
import { addStartCommand } from "./commands/start.ts";
import type { CliContext } from "./context.ts";
import { addDemoCommand } from "./demo/command.ts";
import { addDevCommand } from "./dev/command.ts";
import { addEtcdCommand } from "./etcd/command.ts";
import { Mistake, describeFailure } from "./failure.ts";
import type { ExitCode } from "./failure.ts";

/** Runs one command line (without the program's own name) and returns its exit code. Never throws. */
export async function runCli(context: CliContext, args: readonly string[]): Promise<ExitCode> {
  let result: ExitCode = 0;
  const program = buildProgram({
    context,
    action:
      (handler) =>
      async (...given) => {
        result = await handler(...given);
      },
  });
  try {
    await program.parseAsync([...args], { from: "user" });
    return result;
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    const described = describeFailure(error instanceof CommanderError ? asMistake(program, args, error) : error);
    for (const line of described.lines) context.stderr.write(`${line}\n`);
    if (context.processes.environment["UNUM_LOG"] === "debug" && !isUnumError(error) && error instanceof Error)
      context.stderr.write(`${error.stack ?? ""}\n`);
    return described.exitCode;
  }
}

/** The whole command table. Help, suggestions and completions are read from it. */
export function buildProgram(registry: Registry): Command {
  const { context } = registry;
  const program = new Command("unum");
  program
    .description("Makes the replicas of a program one coherent, fault-tolerant system.")
    .version(context.version, "-V, --version", "print the version")
    .helpOption("-h, --help", "print this help")
    .helpCommand(false)
    // So that what stands behind a command's own arguments is passed on to the program that it runs.
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
      // Mistakes are printed by `runCli`, all in one form.
      outputError: () => undefined,
      getOutHelpWidth: () => context.stdout.columns,
      getErrHelpWidth: () => context.stderr.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    });
  addDevCommand(program, registry);
  addDemoCommand(program, registry);
  addStartCommand(program, registry);
  addEtcdCommand(program, registry);
  addClusterCommands(program, registry);
  addKvCommands(program, registry);
  addClaimCommands(program, registry);
  addSnapshotCommands(program, registry);
  addRecoverCommand(program, registry);
  addBenchCommand(program, registry);
  addCompletionCommand(program, registry);
  program.addHelpText("after", helpFooter);
  program.allowExcessArguments(true).action(() => {
    refuseUnknownCommand(program);
    program.outputHelp();
  });
  return program;
}

const helpFooter = `
Start here:
  unum dev                       three nodes on this machine, live
  unum kv put greeting hello     in another terminal
  unum demo                      kills them all and counts what was lost

Commands find the cluster by --endpoint, UNUM_ENDPOINT, .unum/dev.json, then 127.0.0.1:7400.
Exit codes: 0 done, 1 failed, 2 a mistake in the command line.`;

/** Commander's "error: …\n(Did you mean …?)" as our one line and its suggestion. */
function asMistake(program: Command, args: readonly string[], error: CommanderError): Mistake {
  const [first = "", ...rest] = error.message.split("\n");
  const message = first.replace(/^error: /, "").replaceAll("'", '"');
  const hint = /\(Did you mean (?:one of )?(.*)\?\)/.exec(rest.join(" "))?.[1];
  const command = enteredCommand(program, args);
  if (hint === undefined) return new Mistake(message, `see: ${commandPath(command)} --help`);
  const prefix = hint.startsWith("-") ? "" : `${commandPath(command)} `;
  return new Mistake(
    message,
    `did you mean "${hint
      .split(", ")
      .map((word) => prefix + word)
      .join('", "')}"?`,
  );
}

/** The innermost command that the arguments reach. */
function enteredCommand(program: Command, args: readonly string[]): Command {
  let command = program;
  for (const arg of args) {
    const next = command.commands.find((sub) => sub.name() === arg);
    if (next !== undefined) command = next;
  }
  return command;
}
