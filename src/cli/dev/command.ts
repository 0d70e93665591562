import type { Command } from "commander";
import { freePorts, isFree, localHost } from "../cluster/ports.ts";
import { readCount } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import { readDevFile } from "../endpoint.ts";
import { Failure } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { Progress, isLively, plural } from "../output.ts";
import { Dev } from "./dev.ts";
import { keyAction } from "./keys.ts";

interface DevFlags {
  readonly nodes: string;
  readonly data: string;
  readonly port: string;
  readonly etcdPort: string;
  readonly fresh?: boolean;
}

export function addDevCommand(program: Command, registry: Registry): void {
  program
    .command("dev")
    .description("run a cluster of several processes on this machine and show it live, until Ctrl-C")
    .option("--nodes <N>", "how many nodes", "3")
    .option("--data <DIR>", "where their data is kept", ".unum/dev")
    .option("--port <PORT>", "node i listens on 127.0.0.1:PORT + i, from 0", "7400")
    .option("--etcd-port <PORT>", "node i answers etcd's clients on 127.0.0.1:PORT + 10 i", "2379")
    .option("--fresh", "empty the data first")
    .action(registry.action((flags: DevFlags) => dev(registry.context, flags)));
}

async function dev(context: CliContext, flags: DevFlags): Promise<ExitCode> {
  const nodes = readCount("--nodes", flags.nodes, 1, 9);
  const wanted = readCount("--port", flags.port, 1, 65_535 - nodes);
  const etcdPort = readCount("--etcd-port", flags.etcdPort, 1, 65_535 - nodes * etcdStep);
  await refuseSecond(context, flags.data);
  if (flags.fresh === true) await context.files.remove(flags.data);
  const port = await freePorts(context, wanted, nodes);
  if (port !== wanted) context.stderr.write(`ports ${portRange(wanted, nodes)} are not all free; using ${portRange(port, nodes)}\n`);
  const etcd = await etcdAddresses(context, etcdPort, nodes);
  const lively = isLively(context.stdout, context.processes.environment);
  const cluster = new Dev(context, { nodes, data: flags.data, port, etcd, lively, keys: context.stdin.terminal });
  // The live table shows by itself that something goes on.
  const starting = lively ? undefined : new Progress(context.stderr, context.clock, false, `starting ${plural(nodes, "node")}`);
  let quit = (): void => undefined;
  const quitting = new Promise<void>((resolve) => {
    quit = resolve;
  });
  const releases = [
    ...(["SIGINT", "SIGTERM", "SIGHUP"] as const).map((signal) => context.processes.onSignal(signal, quit)),
    context.stdout.onResize(() => cluster.resize()),
    context.stdin.onKey((key) => {
      const action = keyAction(key, nodes);
      if (action?.kind === "quit") quit();
      else if (action !== undefined) cluster.act(action);
    }),
  ];
  try {
    await Promise.race([cluster.start().then(() => starting?.done()), quitting]);
    starting?.done();
    await quitting;
    return 0;
  } finally {
    // Signals stay caught until every process is gone; a second Ctrl-C cannot leave one behind.
    starting?.done();
    await cluster.close();
    for (const release of releases) release();
    context.stderr.write(`stopped; the data is kept in ${flags.data}\n`);
  }
}

/** As etcd's own examples count: 2379, 2389, 2399. A node whose port is taken does without. */
const etcdStep = 10;

async function etcdAddresses(context: CliContext, first: number, nodes: number): Promise<readonly (string | undefined)[]> {
  const addresses: (string | undefined)[] = [];
  for (let at = 0; at < nodes; at++) {
    const port = first + at * etcdStep;
    const free = await isFree(context, port);
    addresses.push(free ? `${localHost}:${port}` : undefined);
    if (!free) context.stderr.write(`port ${port} is taken: n${at + 1} does not answer etcd's clients\n`);
  }
  return addresses;
}

function portRange(first: number, count: number): string {
  return count === 1 ? String(first) : `${first} to ${first + count - 1}`;
}

async function refuseSecond(context: CliContext, data: string): Promise<void> {
  const other = await readDevFile(context);
  if (other === undefined || other.data !== data || !context.processes.alive(other.pid)) return;
  throw new Failure("DATA_DIR_LOCKED", `unum dev already runs here with ${data} (pid ${other.pid}); stop it, or choose another --data`);
}
