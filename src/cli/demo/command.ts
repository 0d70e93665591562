import type { Command } from "commander";
import { freePorts } from "../cluster/ports.ts";
import { printJson, withJson } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import type { ExitCode } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { Progress, isLively } from "../output.ts";
import { Demo } from "./demo.ts";
import { demoPassed, resultLines } from "./report.ts";

export function addDemoCommand(program: Command, registry: Registry): void {
  withJson(program.command("demo"))
    .description("start three nodes, write, kill them, and count what was lost; under a minute")
    .action(registry.action((flags: { readonly json?: boolean }) => demo(registry.context, flags.json === true)));
}

const firstPort = 17_400;

async function demo(context: CliContext, json: boolean): Promise<ExitCode> {
  const out = json ? context.stderr : context.stdout;
  const lively = isLively(context.stderr, context.processes.environment);
  const progress = new Progress(context.stderr, context.clock, lively, "starting");
  // The progress line is erased before a line is printed, so that they never mix.
  const say = (line: string): void => {
    progress.pause();
    out.write(`${line}\n`);
    progress.resume();
  };
  const data = await context.files.makeTemporary("unum-demo-");
  const port = await freePorts(context, firstPort, 3);
  const run = new Demo(context, { data, port, writeMs: 4000, afterMs: 1500, limitMs: 57_000 }, say, progress);
  let keep = true;
  try {
    return await interruptible(
      context,
      () => {
        keep = false;
        run.abort();
      },
      async () => {
        say(`unum demo   three processes in ${data}`);
        const report = await run.run();
        keep = !demoPassed(report);
        if (json) printJson(context, report);
        for (const line of resultLines(report)) say(line);
        return demoPassed(report) ? 0 : 1;
      },
    );
  } finally {
    progress.done();
    await run.close();
    if (keep) {
      await run.writeLogs();
      context.stderr.write(`  data and logs of the nodes are kept in ${data}\n`);
    } else await context.files.remove(data);
  }
}
