import type { Command } from "commander";
import { Prng } from "../../base/index.ts";
import type { Client } from "../client.ts";
import { LocalCluster } from "../cluster/local.ts";
import { freePorts } from "../cluster/ports.ts";
import { group, printJson, readCount, tableOption, withJson } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import { resolveEndpoints } from "../endpoint.ts";
import { Mistake } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { interruptible } from "../interrupt.ts";
import { Progress, formatCount, formatMs, isLively } from "../output.ts";
import { readTimeout } from "../session.ts";
import type { ClusterFlags } from "../session.ts";
import { cleanBench, runBench } from "./run.ts";
import type { BenchKind, BenchPlan, BenchResult } from "./run.ts";

interface BenchFlags extends ClusterFlags {
  readonly nodes: string;
  readonly inflight: string;
  readonly clients: string;
  readonly valueSize: string;
  readonly keys: string;
  readonly seconds: string;
  readonly json?: boolean;
}

const summaries: Readonly<Record<BenchKind, string>> = {
  put: "writes to random keys",
  get: "linearizable reads of random keys",
  mixed: "as many writes as reads",
  watch: "from a write to its event at every watching client",
};

export function addBenchCommand(program: Command, registry: Registry): void {
  const parent = group(program, "bench", "measure a cluster: its own, or with --endpoint a running one");
  for (const kind of ["put", "get", "mixed", "watch"] as const) {
    withJson(parent.command(kind))
      .description(summaries[kind])
      .option("--endpoint <HOST:PORT,…>", "measure this running cluster; its keys under bench/ are deleted afterwards")
      .addOption(tableOption("timeout"))
      .option("--nodes <N>", "nodes of the cluster that is started and removed", "3")
      .option("--inflight <N>", "requests in flight, over all clients", kind === "watch" ? "10" : "100")
      .option("--clients <N>", "connections", kind === "watch" ? "10" : "1")
      .option("--value-size <BYTES>", "bytes of a value", "256")
      .option("--keys <N>", "keys used", "10000")
      .option("--seconds <S>", "how long to measure, after a warm-up", "5")
      .action(registry.action((flags: BenchFlags) => bench(registry.context, kind, flags)));
  }
}

const firstPort = 17_500;

async function bench(context: CliContext, kind: BenchKind, flags: BenchFlags): Promise<ExitCode> {
  const plan = readPlan(kind, flags);
  const nodes = readCount("--nodes", flags.nodes, 1, 9);
  const clientCount = readCount("--clients", flags.clients, 1, 10_000);
  if (kind !== "watch" && clientCount > plan.inflight)
    throw new Mistake(`${clientCount} clients cannot share ${plan.inflight} in flight`, `for example: --inflight ${clientCount}`);
  const timeout = readTimeout(context, flags.timeout);
  const running = flags.endpoint === undefined ? undefined : (await resolveEndpoints(context, flags.endpoint)).addresses;
  const own = running === undefined ? await startOwn(context, nodes) : undefined;
  const progress = new Progress(context.stderr, context.clock, isLively(context.stderr, context.processes.environment), "starting");
  const clients: Client[] = [];
  try {
    return await interruptible(
      context,
      () => own?.cluster.abandon(),
      async () => {
        if (own !== undefined) clients.push(await own.cluster.ready(20_000));
        const endpoints = running ?? own?.cluster.endpoints ?? [];
        while (clients.length < clientCount) clients.push(await context.connect(rotate(endpoints, clients.length), { timeout }));
        const environment = { clock: context.clock, prng: new Prng(1), clients, progress: (text: string) => progress.update(text) };
        const result = await runBench(environment, plan);
        progress.update("cleaning up");
        if (own === undefined && clients[0] !== undefined) await cleanBench(clients[0]);
        progress.done();
        const { inflight, valueSize, keys, seconds } = plan;
        const measured = { nodes: own === undefined ? null : nodes, endpoints, version: context.version };
        if (flags.json === true)
          printJson(context, { kind, ...result, inflight, clients: clientCount, valueSize, keys, seconds, ...measured });
        else context.stdout.write(`${benchLine(kind, result, plan)}\n`);
        return 0;
      },
    );
  } finally {
    progress.done();
    own?.cluster.abandon();
    await Promise.all(clients.map((client) => client.close()));
    if (own !== undefined) await removeOwn(context, own);
  }
}

interface OwnCluster {
  readonly cluster: LocalCluster;
  readonly data: string;
}

/** Nodes in a temporary directory, which goes with their processes however the command ends. */
async function startOwn(context: CliContext, nodes: number): Promise<OwnCluster> {
  const data = await context.files.makeTemporary("unum-bench-");
  const cluster = new LocalCluster(context, { nodes, data, port: await freePorts(context, firstPort, nodes) });
  cluster.spawnAll();
  return { cluster, data };
}

async function removeOwn(context: CliContext, own: OwnCluster): Promise<void> {
  await Promise.all(own.cluster.nodes.map((node) => node.exited));
  await context.files.remove(own.data);
}

function readPlan(kind: BenchKind, flags: BenchFlags): BenchPlan {
  const seconds = readCount("--seconds", flags.seconds, 1, 86_400);
  return {
    kind,
    inflight: readCount("--inflight", flags.inflight, 1, 100_000),
    valueSize: readCount("--value-size", flags.valueSize, 0, 1024 * 1024),
    keys: readCount("--keys", flags.keys, 1, 100_000_000),
    seconds,
    warmupSeconds: Math.max(1, Math.min(3, Math.round(seconds / 4))),
  };
}

/** Each client begins at another node, so that connections spread. */
function rotate(endpoints: readonly string[], by: number): readonly string[] {
  const at = by % endpoints.length;
  return [...endpoints.slice(at), ...endpoints.slice(0, at)];
}

/** "put  100 in flight   43,210/s   p50 2.1 ms   p99 5.4 ms   max 12 ms   0 errors" */
export function benchLine(kind: BenchKind, result: BenchResult, plan: Pick<BenchPlan, "inflight" | "valueSize">): string {
  return [
    `${kind}  ${formatCount(plan.inflight)} in flight, ${plan.valueSize} B`,
    `${formatCount(result.opsPerSecond)}/s`,
    `p50 ${formatMs(result.p50Ms)}`,
    `p99 ${formatMs(result.p99Ms)}`,
    `max ${formatMs(result.maxMs)}`,
    `${formatCount(result.errors)} errors`,
  ].join("   ");
}
