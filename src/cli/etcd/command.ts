import type { Command } from "commander";
import { utf8Decode } from "../../base/index.ts";
import type { HttpSecurity, Logger, StreamSecurity } from "../../ports/index.ts";
import type { Registry } from "../command.ts";
import type { CliContext, EtcdServer, RunningNode } from "../context.ts";
import { Failure, Mistake } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { jsonLogger, outputLogger } from "../log.ts";
import { stopRequest, untilStopped } from "../stop.ts";
import { etcdFlagLines } from "./flags.ts";
import { planOf } from "./plan.ts";
import type { EtcdPlan, PlannedTls } from "./plan.ts";
import { readEtcdInput } from "./read.ts";
import type { EtcdInput } from "./read.ts";

export function addEtcdCommand(program: Command, registry: Registry): void {
  program
    .command("etcd")
    .description("run one node in the place of etcd, with etcd's own flags and ETCD_* variables")
    .argument("[flags...]", "as etcd takes them; --help lists them")
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(registry.action((flags: readonly string[]) => etcd(registry.context, flags)));
}

async function etcd(context: CliContext, args: readonly string[]): Promise<ExitCode> {
  const [first] = args;
  if (args.some((arg) => /^--?version(=true)?$/.test(arg))) {
    context.stdout.write(`etcd Version: ${await context.etcdVersion()}\nUnum Version: ${context.version}\n`);
    return 0;
  }
  if (args.some((arg) => /^--?h(elp)?$/.test(arg))) {
    context.stdout.write(`${["Usage: unum etcd [flags of etcd]", "", ...etcdFlagLines()].join("\n")}`);
    return 0;
  }
  if (first === "gateway" || first === "grpc-proxy")
    throw new Mistake(`"unum etcd ${first}" is not supported: proxies of etcd are programs of their own`, "run etcd's, in front of Unum");
  const input = await readEtcdInput(context, args);
  return run(context, input, planOf(input));
}

async function run(context: CliContext, input: EtcdInput, plan: EtcdPlan): Promise<ExitCode> {
  const output = plan.log.toStdout ? context.stdout : context.stderr;
  const logger = (plan.log.json ? jsonLogger : outputLogger)(output, context.clock, plan.log.level);
  sayWhatIsIgnored(logger, input);
  if (await context.files.exists(`${plan.data}/member/snap/db`)) {
    throw new Failure(
      "DATA_DIR_FORMAT",
      `${plan.data} holds etcd's data, which is not read. Take an empty directory, and copy with "etcdctl make-mirror".`,
    );
  }
  const secure = plan.tls === undefined ? undefined : await securityOf(context, plan.tls);
  const peers = plan.peerTls === undefined ? undefined : await peerSecurityOf(context, plan.peerTls);
  const stop = stopRequest(context, false);
  try {
    const node = await context.start({ ...plan.node, logger, etcdServer: serverOf(plan, secure, peers) });
    logger.info("started", {
      etcd: await context.etcdVersion(),
      unum: context.version,
      pid: context.processes.pid,
      clients: plan.clientUrls.join(","),
      peers: plan.node.listen,
    });
    sayWhenReady(context, node, logger);
    return await untilStopped(node, stop.requested, (message) => logger.info(message));
  } finally {
    stop.release();
  }
}

function serverOf(plan: EtcdPlan, secure: HttpSecurity | undefined, peers: StreamSecurity | undefined): EtcdServer {
  const doors = plan.ports.map(({ listen, probesOnly, secure: wanted }) => ({ listen, probesOnly, secure: wanted ? secure : undefined }));
  const { clientUrls, compaction, electionMs, messageBytesMax, progressEveryMs, txnOperationsMax } = plan;
  const { certificatesNameUsers, passwordCost, tokenMs } = plan;
  const peerScheme = peers === undefined ? "http" : "https";
  const auth = { certificatesNameUsers, passwordCost, tokenMs };
  const settings = { peerScheme, clientUrls, compaction, messageBytesMax, progressEveryMs, txnOperationsMax, ...auth } as const;
  return { doors, electionMs, peers, settings };
}

function sayWhatIsIgnored(logger: Logger, input: EtcdInput): void {
  if (input.withoutEffect.length > 0) logger.info("flags without effect here", { flags: input.withoutEffect.join(",") });
  for (const variable of input.unknownVariables) logger.warn("unrecognized environment variable", { variable });
}

/** A service manager hears of it through its own program: Node.js speaks no datagrams over sockets of the file system. */
function sayWhenReady(context: CliContext, node: RunningNode, logger: Logger): void {
  node.ready.then(
    async () => {
      logger.info("ready to serve client requests");
      if ((context.processes.environment["NOTIFY_SOCKET"] ?? "") === "") return;
      const { code } = await context.processes.run({ program: "systemd-notify", args: ["--ready", `--pid=${context.processes.pid}`] })
        .exited;
      if (code !== 0) logger.warn("systemd-notify could not say that the service is ready", { code });
    },
    // A node that fails before says so through `closed`.
    () => undefined,
  );
}

async function securityOf(context: CliContext, tls: PlannedTls): Promise<HttpSecurity> {
  const { authority, clientRequired, versionMax, versionMin } = tls;
  const own = await identityOf(context, tls);
  return { ...own, clientAuthority: await readText(context, authority), clientRequired, versionMin, versionMax };
}

async function peerSecurityOf(context: CliContext, tls: PlannedTls): Promise<StreamSecurity> {
  const { authority, clientRequired, files } = tls;
  const own = await identityOf(context, tls);
  return { ...own, authority: await readText(context, authority), dialerRequired: clientRequired, verified: files !== undefined };
}

async function identityOf(context: CliContext, { files, hosts, validYears }: PlannedTls): Promise<{ certificate: string; key: string }> {
  if (files === undefined) return context.selfSigned(hosts, validYears);
  return { certificate: (await readText(context, files.certificate)) ?? "", key: (await readText(context, files.key)) ?? "" };
}

async function readText(context: CliContext, path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  const bytes = await context.files.read(path);
  if (bytes === undefined) throw new Failure("NOT_FOUND", `there is no file ${path}`);
  return utf8Decode(bytes);
}
