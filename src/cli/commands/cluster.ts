import type { Command } from "commander";
import type { ClusterStatus, MemberStatus } from "../client.ts";
import { group, printJson, withClusterFlags, withJson, withYes } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import { Failure, Mistake } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { formatBytes, formatMs, isLively, colourPaint, plainPaint, renderTable } from "../output.ts";
import type { Cell, Column } from "../output.ts";
import { confirm, withClient } from "../session.ts";
import type { ClusterFlags } from "../session.ts";

interface StatusFlags extends ClusterFlags {
  readonly json?: boolean;
}

export function addClusterCommands(program: Command, registry: Registry): void {
  const { context } = registry;
  withClusterFlags(withJson(program.command("status")))
    .description("say how the cluster is; exit 1 without a quorum")
    .action(registry.action((flags: StatusFlags) => status(context, flags)));
  const member = group(program, "member", "list and remove members");
  withClusterFlags(withJson(member.command("list")))
    .description("list the members")
    .action(registry.action((flags: StatusFlags) => listMembers(context, flags)));
  withYes(withClusterFlags(withJson(member.command("remove").argument("<member>", "name or id"))))
    .description("give up a member for good; its id never returns")
    .action(registry.action((name: string, flags: RemoveFlags) => removeMember(context, name, flags)));
  const leader = group(program, "leader", "move leadership");
  withClusterFlags(withJson(leader.command("transfer")))
    .description("move leadership away from the present leader")
    .option("--to <MEMBER>", "name or id of the next leader (default: the most advanced voter)")
    .option("--keyspace <NAME>", "only of this keyspace (default: of all groups that the leader's node leads)")
    .action(registry.action((flags: TransferFlags) => transfer(context, flags)));
}

async function status(context: CliContext, flags: StatusFlags): Promise<ExitCode> {
  return withClient(context, flags, "asking for the status", async (client) => {
    const report = await client.status();
    if (flags.json === true) printJson(context, report);
    else {
      const paint = isLively(context.stdout, context.processes.environment) ? colourPaint : plainPaint;
      context.stdout.write(`${statusLine(report)}\n`);
      for (const line of renderTable(
        statusColumns,
        report.members.map((member) => statusRow(report, member)),
        paint,
      ))
        context.stdout.write(`  ${line}\n`);
      for (const warning of statusWarnings(report)) context.stderr.write(`${warning}\n`);
    }
    return report.quorum ? 0 : 1;
  });
}

/** "cluster 7f3a…, revision 1204, 2 of 3 voters up, can lose 0 more" */
export function statusLine(report: ClusterStatus): string {
  const parts = [
    `cluster ${report.cluster.slice(0, 4)}…`,
    `revision ${report.revision}`,
    `${report.votersUp} of ${report.voters} voters up`,
    report.quorum ? `can lose ${report.canLose} more` : "no quorum",
  ];
  return parts.join(", ");
}

export function statusWarnings(report: ClusterStatus): string[] {
  const warnings: string[] = [];
  if (report.insecure) warnings.push("warning: a member listens beyond loopback without security (--insecure)");
  for (const group of report.groups) {
    if (!group.quorum) warnings.push(`warning: ${group.name} has no quorum: ${group.votersUp} of ${group.voters.length} voters up`);
    else if (group.leader === null) warnings.push(`warning: ${group.name} has no leader`);
    if (group.corrupt)
      warnings.push(`warning: the copies of ${group.name} differ and none has a majority; its writes are refused (CORRUPT)`);
    if (group.writesStopped) warnings.push(`warning: ${group.name} refuses growing writes`);
  }
  for (const { name, report: node } of report.members) {
    if (node?.declinesLeadership === true)
      warnings.push(`warning: ${name} declines leadership: its clock is ${node.clockOffsetMs ?? 0} ms off the others'`);
    for (const replica of node?.replicas ?? []) {
      if (replica.state === "discarded")
        warnings.push(`warning: ${name} replaces its copy of ${replica.name}, which was not what the majority has`);
    }
  }
  return warnings;
}

const statusColumns: readonly Column[] = [
  { title: "node", align: "left" },
  { title: "address", align: "left" },
  { title: "zone", align: "left" },
  { title: "role", align: "left" },
  { title: "term", align: "right" },
  { title: "commit", align: "right" },
  { title: "applied", align: "right" },
  { title: "memory", align: "right" },
];

function statusRow(report: ClusterStatus, member: MemberStatus): Cell[] {
  const replica = member.report?.replicas.find((copy) => copy.name !== "system") ?? member.report?.replicas[0];
  const number = (value: number | undefined): Cell => ({ text: value === undefined ? "-" : String(value) });
  return [
    { text: member.name },
    { text: member.address },
    { text: member.zone === "" ? "-" : member.zone },
    memberRole(report, member),
    number(replica?.term),
    number(replica?.commit),
    number(replica?.applied),
    { text: member.report === null ? "-" : formatBytes(member.report.memoryBytes) },
  ];
}

/** What a member is in the default keyspace, or why it is nothing. */
function memberRole(report: ClusterStatus, member: MemberStatus): Cell {
  if (member.state !== "up") return { text: memberState(member), colour: "red" };
  const group = report.groups.find((item) => item.group === 1) ?? report.groups[0];
  if (group?.leader === member.node) return { text: "leader", colour: "green" };
  if (group?.voters.includes(member.node) === true) return { text: "follower" };
  if (group?.learners.includes(member.node) === true) return { text: "learner" };
  return { text: "-" };
}

/** "up", "down 4 s", "up, leaving" */
function memberState({ downMs, leaving, state }: MemberStatus): string {
  const since = downMs === null ? state : `${state} ${formatMs(wholeSeconds(downMs))}`;
  return leaving ? `${since}, leaving` : since;
}

const wholeSeconds = (ms: number): number => (ms < 1000 ? ms : Math.floor(ms / 1000) * 1000);

const memberColumns: readonly Column[] = [
  { title: "name", align: "left" },
  { title: "id", align: "left" },
  { title: "address", align: "left" },
  { title: "zone", align: "left" },
  { title: "role", align: "left" },
  { title: "state", align: "left" },
];

async function listMembers(context: CliContext, flags: StatusFlags): Promise<ExitCode> {
  return withClient(context, flags, "asking for the members", async (client) => {
    const members = await client.members();
    if (flags.json === true) printJson(context, { members });
    else {
      const rows = members.map((member): Cell[] => [
        { text: member.name },
        { text: member.node },
        { text: member.address },
        { text: member.zone === "" ? "-" : member.zone },
        { text: member.role },
        { text: memberState(member) },
      ]);
      for (const line of renderTable(memberColumns, rows)) context.stdout.write(`${line}\n`);
    }
    return 0;
  });
}

interface RemoveFlags extends StatusFlags {
  readonly yes?: boolean;
}

async function removeMember(context: CliContext, name: string, flags: RemoveFlags): Promise<ExitCode> {
  if (name === "") throw new Mistake("the member's name is empty", "see: unum member list");
  return withClient(context, flags, `removing ${name}`, async (client, progress) => {
    const member = (await client.members()).find((item) => item.name === name || item.node === name);
    if (member === undefined) throw new Failure("MEMBER_NOT_FOUND", `no member has the name or id "${name}"; see: unum member list`);
    const what = `remove ${member.name} (${member.node}, ${member.address}) from the cluster for good`;
    if (!(await confirm(context, what, flags.yes === true, progress))) return 1;
    const removed = await client.removeMember(member.node);
    if (flags.json === true) printJson(context, { removed });
    else context.stdout.write(`removed ${removed.name} ${removed.node}\n`);
    return 0;
  });
}

interface TransferFlags extends StatusFlags {
  readonly to?: string;
  readonly keyspace?: string;
}

async function transfer(context: CliContext, flags: TransferFlags): Promise<ExitCode> {
  return withClient(context, flags, "moving leadership", async (client) => {
    const members = await client.members();
    const target = flags.to === undefined ? undefined : members.find((item) => item.name === flags.to || item.node === flags.to);
    if (flags.to !== undefined && target === undefined)
      throw new Failure("MEMBER_NOT_FOUND", `no member has the name or id "${flags.to}"; see: unum member list`);
    const transfers = await client.transferLeader({ keyspace: flags.keyspace, to: target?.node });
    const nameOf = (id: string): string => members.find((item) => item.node === id)?.name ?? id;
    if (flags.json === true) printJson(context, { transfers });
    for (const item of flags.json === true ? [] : transfers)
      context.stdout.write(`group ${item.group}: ${nameOf(item.from)} -> ${nameOf(item.to)}\n`);
    if (transfers.length === 0) context.stderr.write("nothing was moved: the node asked for leads no such group\n");
    return 0;
  });
}
