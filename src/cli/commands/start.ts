import { Option } from "commander";
import type { Command } from "commander";
import { UnumError, optionFlag, optionNames, optionTable, resolveOptions } from "../../base/index.ts";
import type { OptionInput, OptionName } from "../../base/index.ts";
import { tableOption } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import { Mistake } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { outputLogger } from "../log.ts";
import { stopRequest, untilStopped } from "../stop.ts";

/** `unum dev` and its like pass it, so that a child outlives nobody. */
export const stopWithParentFlag = "--stop-with-parent";

type StartFlags = { readonly [N in OptionName]?: string | boolean | undefined } & { readonly stopWithParent?: boolean };

export function addStartCommand(program: Command, registry: Registry): void {
  const command = program.command("start").description("run one node until SIGTERM or Ctrl-C");
  for (const name of optionNames("node")) if (!optionTable[name].hidden) command.addOption(tableOption(name));
  command.addOption(new Option(stopWithParentFlag, "stop when standard input closes").hideHelp());
  command.action(registry.action((flags: StartFlags) => start(registry.context, flags)));
}

async function start(context: CliContext, flags: StartFlags): Promise<ExitCode> {
  const given: OptionInput = readFlags(flags);
  const options = resolve(context, given);
  const logger = outputLogger(context.stderr, context.clock, options.log ?? "info");
  // Signals are listened to before the node starts, so that an early Ctrl-C still closes it in order.
  const stop = stopRequest(context, flags.stopWithParent === true);
  try {
    const node = await context.start({ ...given, logger });
    node.describe().then(
      ({ name, address }) => logger.info("listening", { name, address, pid: context.processes.pid }),
      // A node that ends before it can say its name gives its reason through `closed`.
      () => undefined,
    );
    // A node that fails while it waits for its cluster says so through `closed`.
    node.ready.then(
      () => logger.info("ready"),
      () => undefined,
    );
    return await untilStopped(node, stop.requested, (message) => logger.info(message));
  } finally {
    stop.release();
  }
}

function readFlags(flags: StartFlags): OptionInput {
  const given: Partial<Record<OptionName, string | boolean>> = {};
  for (const name of optionNames("node")) {
    const value = flags[name];
    if (value !== undefined) given[name] = value;
  }
  return given as OptionInput;
}

/** Bad values are mistakes of the command line: exit 2, before anything is touched. */
function resolve(context: CliContext, given: OptionInput): ReturnType<typeof resolveOptions<"node">> {
  try {
    return resolveOptions("node", given, context.processes.environment);
  } catch (error) {
    if (!(error instanceof UnumError)) throw error;
    const name = error.details["option"] as OptionName;
    throw new Mistake(
      error.message.replace(/^option \w+/, optionFlag(name)),
      `${optionFlag(name)} ${optionTable[name].placeholder}: ${optionTable[name].meaning}`,
    );
  }
}
