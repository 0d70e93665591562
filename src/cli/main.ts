import {
  NodeClock,
  NodeRandom,
  NodeStreams,
  exitProcess,
  nodeFiles,
  nodeInput,
  nodeOutput,
  nodeProcesses,
  onBrokenOutput,
  processArguments,
  processProgram,
} from "../platform/node/index.ts";
import { version } from "../version.ts";
import type { EngineExtras } from "../engine.ts";
import type { CliContext, EtcdServer, Offline, RunningNode, StartRequest } from "./context.ts";
import { clientOf } from "./handle.ts";
import { runCli } from "./program.ts";

/** The root of the command line: the only file of it that chooses adapters. */
async function main(): Promise<void> {
  const stdout = nodeOutput("stdout");
  const stderr = nodeOutput("stderr");
  // Whoever read our output has had enough (`unum kv range | head`): nothing has failed.
  onBrokenOutput(() => exitProcess(0));
  const clock = new NodeClock();
  const context: CliContext = {
    version,
    stdout,
    stderr,
    stdin: nodeInput(),
    clock,
    random: new NodeRandom(),
    processes: nodeProcesses(processProgram()),
    files: nodeFiles(),
    streams: new NodeStreams(),
    // Loaded when they are needed: a command that only asks starts in a tenth of the time.
    connect: async (endpoints, options = {}) => clientOf((await import("../remote.ts")).connectRemote(endpoints, options)),
    start: startNode,
    etcdVersion: async () => (await import("../gateway/etcd/index.ts")).etcdVersion,
    selfSigned: async (hosts, years) => (await import("../platform/node/self-signed.ts")).selfSigned(hosts, years, clock.wall()),
    offline,
  };
  const code = await runCli(context, processArguments());
  await Promise.all([stdout.drained(), stderr.drained()]);
  exitProcess(code);
}

async function startNode({ etcdServer, ...options }: StartRequest): Promise<RunningNode> {
  const { startEmbedded } = await import("../embedded.ts");
  const { handle } = await startEmbedded(options, etcdServer === undefined ? {} : extrasOf(etcdServer));
  return {
    ready: handle.ready,
    closed: handle.closed,
    close: () => handle.close(),
    describe: () => handle.nodeStatus(),
  };
}

function extrasOf({ doors, electionMs, peers, settings }: EtcdServer): EngineExtras {
  const [first, ...more] = doors;
  return { electionMs, peers, etcd: first === undefined ? undefined : { ...first, more, settings } };
}

const offline: Offline = {
  restore: async (request) => (await import("../offline.ts")).restore(request),
  planRecovery: async (request) => (await import("../offline.ts")).plan(request),
  recover: async (request) => (await import("../offline.ts")).recover(request),
};

void main();
