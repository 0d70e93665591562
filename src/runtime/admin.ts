import { UnumError, defaultGroup, systemGroup } from "../base/index.ts";
import type { GroupId, NodeId } from "../base/index.ts";
import { decodeReply, queryBytes } from "../machine/index.ts";
import type { SystemGroup } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
import { Method, decodeAdminRequest, decodeAdminResponse, encodeAdminRequest, encodeAdminResponse } from "../wire/index.ts";
import type {
  AdminRequest,
  AdminResponse,
  ClusterStatus,
  GroupStatus,
  LeaderTransfer,
  MemberStatus,
  NodeStatus,
  ReplicaReport,
} from "../wire/index.ts";
import type { Call } from "./connection.ts";
import { memberNotFound } from "./controller.ts";
import type { Member } from "./directory.ts";
import { asUnumError } from "./failure.ts";
import { DiskGauge } from "./disk-gauge.ts";
import type { UnumNode } from "./node.ts";
import { featureLevelOf, isLoopback } from "./options.ts";

const askMs = 700;
const leaveDelayMs = 50;
/** Of a removal's time, what is left for its answer to arrive. */
const answerMs = 500;

/** The rare requests: status, members, removal, transfer, leaving. JSON in, JSON out. */
export class Admin {
  private readonly node: UnumNode;
  private readonly gauge: DiskGauge;

  constructor(node: UnumNode) {
    this.node = node;
    this.gauge = new DiskGauge(node.platform.disk, node.platform.clock);
  }

  handle(call: Call): void {
    const request = decodeAdminRequest(call.request.body);
    this.answer(request, call).then(
      (response) => {
        if (response !== undefined) call.reply(encodeAdminResponse(response));
      },
      (error: unknown) => call.fail(asUnumError(error)),
    );
  }

  private async answer(request: AdminRequest, call: Call): Promise<AdminResponse | undefined> {
    switch (request.op) {
      case "node-status":
        return { op: request.op, node: await this.nodeStatus() };
      case "status":
        return { op: request.op, status: await this.clusterStatus() };
      case "members":
        return { op: request.op, members: await this.members() };
      case "keyspaces":
        return { op: request.op, keyspaces: [...(this.node.directory?.state?.keyspaces ?? [])].map(([name, group]) => ({ name, group })) };
      case "remove-member":
        return { op: request.op, member: await this.remove(request.member, call) };
      case "transfer-leader":
        return { op: request.op, transfers: await this.transfer(request.group, request.to, call) };
      case "leave":
        await this.node.leave(this.patienceMs(call));
        // The answer goes out first.
        this.node.platform.clock.after(leaveDelayMs, () => void this.node.close());
        return { op: request.op };
      default:
        throw new UnumError("UNSUPPORTED");
    }
  }

  private async remove(nameOrId: string, call: Call): Promise<MemberStatus> {
    const member = this.node.directory?.find(nameOrId);
    if (member === undefined) throw memberNotFound(nameOrId);
    const before = this.describe(member, new Set());
    await this.node.controller.removeNode(member.node, this.patienceMs(call));
    // The answer goes out first.
    if (member.node === this.node.nodeId) this.node.platform.clock.after(leaveDelayMs, () => this.node.depart());
    return { ...before, leaving: true, state: "removed" };
  }

  /** How long a removal is waited for: the caller hears what holds it up before its own time is over. */
  private patienceMs(call: Call): number {
    const leftMs = remainingMs(call, this.node);
    return leftMs - Math.min(answerMs, leftMs / 10);
  }

  /** Each leader of a group hands over itself: the request visits the nodes that lead. */
  private async transfer(group: number | null, to: string | null, call: Call): Promise<LeaderTransfer[]> {
    const target = to === null ? undefined : this.node.directory?.find(to);
    if (to !== null && target === undefined) throw memberNotFound(to);
    const holder = this.node.leaders.get(defaultGroup);
    if (group === null && holder !== undefined && holder !== this.node.nodeId && !call.request.forwarded) {
      const body = encodeAdminRequest({ op: "transfer-leader", group, to });
      const request = { method: Method.admin, group: systemGroup, body };
      const answer = await this.node.router.ask(holder, request, remainingMs(call, this.node));
      return [...decodeAdminResponse("transfer-leader", answer).transfers];
    }
    const groups = group === null ? [...(this.node.directory?.state?.groups.keys() ?? [])] : [group as GroupId];
    const transfers: LeaderTransfer[] = [];
    for (const id of groups) {
      const leader = this.node.leaders.get(id);
      if (leader === undefined) {
        if (group !== null) throw new UnumError("NO_LEADER", `Group ${id} has no leader now.`);
        continue;
      }
      if (leader === target?.node) continue;
      if (leader === this.node.nodeId) transfers.push(await this.transferHere(id, target?.node, remainingMs(call, this.node)));
      else if (group !== null && !call.request.forwarded) {
        const body = encodeAdminRequest({ op: "transfer-leader", group: id, to });
        const answer = await this.node.router.ask(leader, { method: Method.admin, group: id, body }, remainingMs(call, this.node));
        transfers.push(...decodeAdminResponse("transfer-leader", answer).transfers);
      }
    }
    return transfers;
  }

  private async transferHere(group: GroupId, to: NodeId | undefined, timeoutMs: number): Promise<LeaderTransfer> {
    const replica = this.node.groups.get(group);
    const { clock } = this.node.platform;
    const deadline = clock.now() + Math.min(timeoutMs, 5_000);
    const target =
      to === undefined ? (replica === undefined ? undefined : this.node.controller.successorOf(replica)) : this.replicaOn(group, to);
    if (replica === undefined || target === undefined)
      throw new UnumError("INVALID_ARGUMENT", `No other voter of group ${group} can take over now.`);
    if (!replica.configuration.voters.includes(target)) throw new UnumError("INVALID_ARGUMENT", "Only a voter can lead.");
    replica.transfer(target);
    while (clock.now() < deadline) {
      await new Promise<void>((resolve) => void clock.after(5, resolve));
      const leader = this.node.leaders.get(group);
      if (!replica.isLeader && leader !== undefined && leader !== this.node.nodeId) return { group, from: this.node.nodeId, to: leader };
    }
    throw new UnumError("TIMEOUT", "Leadership was not handed over in time; the leader has gone on.", { outcome: "unknown" });
  }

  private replicaOn(group: GroupId, node: NodeId): SystemGroup["replicas"][number]["replica"] | undefined {
    return this.node.directory?.group(group)?.replicas.find((candidate) => candidate.node === node)?.replica;
  }

  async nodeStatus(): Promise<NodeStatus> {
    const { node } = this;
    const { options } = node;
    const { offsetMs } = node.wallClocks;
    const replicas: ReplicaReport[] = [];
    for (const replica of node.groups.all()) replicas.push(this.report(replica));
    replicas.sort((a, b) => a.group - b.group);
    return {
      node: node.nodeId,
      name: options.name,
      address: node.address,
      zone: options.zone,
      cluster: node.identity.value.cluster ?? "",
      version: options.version,
      featureLevel: featureLevelOf(options),
      insecure: options.insecure && !isLoopback(options.listen.host),
      ephemeral: options.ephemeral,
      uptimeMs: Math.round(node.platform.clock.now() - node.startedMs),
      memoryBytes: options.residentBytes(),
      memoryUsedBytes: node.memory.usedBytes,
      memoryBudgetBytes: options.memoryBudgetBytes,
      diskFreeBytes: await this.gauge.freeBytes(),
      clients: node.gate.clients,
      watches: node.watches.count,
      clockOffsetMs: offsetMs === undefined ? null : Math.round(offsetMs),
      declinesLeadership: node.wallClocks.isOff,
      operations: { ...node.gate.counters },
      replicas,
    };
  }

  private report(replica: Replica): ReplicaReport {
    const status = replica.status();
    const learner = !status.configuration.voters.includes(status.replica) && !status.configuration.outgoing.includes(status.replica);
    const role =
      replica.failure !== undefined
        ? "stopped"
        : learner && status.role === "follower"
          ? "learner"
          : (status.role as ReplicaReport["role"]);
    return {
      group: replica.group,
      name: this.nameOf(replica.group),
      replica: status.replica,
      role,
      term: status.term,
      leader: status.leader === 0 ? null : (this.node.directory?.nodeOf(replica.group, status.leader) ?? null),
      voters: this.votersOf(replica.group),
      commit: status.commit,
      applied: status.applied,
      lastIndex: status.lastIndex,
      revision: status.revision,
      suspect: status.suspect,
      state: status.state,
      agreedIndex: status.agreedIndex,
      writesStopped: replica.isLeader && this.node.gate.refusesGrowth(replica.group),
      logBytes: status.logBytes,
      memoryBytes: status.memoryBytes,
    };
  }

  private nameOf(group: GroupId): string {
    return group === systemGroup ? "system" : (this.node.directory?.group(group)?.name ?? `group-${group}`);
  }

  private async reportOf(member: Member): Promise<NodeStatus | null> {
    if (member.node === this.node.nodeId) return this.nodeStatus();
    if (!this.node.links.isConnected(member.node)) return null;
    try {
      const answer = await this.node.router.ask(
        member.node,
        { method: Method.admin, group: systemGroup, body: encodeAdminRequest({ op: "node-status" }) },
        askMs,
      );
      return decodeAdminResponse("node-status", answer).node;
    } catch (error) {
      this.node.platform.logger.debug("a member did not report in time", { node: member.node, error: String(error) });
      return null;
    }
  }

  /** As the records have it now; a member that nobody has asked yet is down, unless it is this one. */
  private describe(member: Member, voters: ReadonlySet<NodeId>): MemberStatus {
    const self = member.node === this.node.nodeId;
    const role = voters.has(member.node)
      ? "voter"
      : this.node.directory?.nodesOf(systemGroup).includes(member.node) === true
        ? "learner"
        : "none";
    return {
      node: member.node,
      name: member.name,
      address: member.address,
      zone: member.zone,
      role,
      state: self ? "up" : "down",
      downMs: self ? null : Math.round(this.node.links.silentMs(member.node)),
      leaving: this.node.directory?.isLeaving(member.node) === true,
      ephemeral: member.ephemeral,
      featureLevel: member.featureLevel,
      report: null,
    };
  }

  async members(): Promise<MemberStatus[]> {
    const members = [...(this.node.directory?.members().values() ?? [])];
    const voters = new Set(this.votersOf(systemGroup));
    const described = await Promise.all(
      members.map(async (member): Promise<MemberStatus> => {
        // All of one moment: while they are asked one may go, and would be listed beside its successor as one that stays.
        const known = this.describe(member, voters);
        const report = await this.reportOf(member);
        return report === null ? known : { ...known, state: "up", downMs: null, report };
      }),
    );
    return described.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : a.node < b.node ? -1 : 1));
  }

  private votersOf(group: GroupId): NodeId[] {
    const replica = this.node.groups.get(group);
    const ids = replica?.configuration.voters ?? this.node.directory?.group(group)?.initialVoters ?? [];
    return ids.map((id) => this.node.directory?.nodeOf(group, id)).filter((id) => id !== undefined);
  }

  /** Of a group that no node reports: whoever shall hold it, as many as are wanted. */
  private plannedVotersOf(group: GroupId): readonly string[] {
    const record = this.node.directory?.group(group);
    if (group === systemGroup || record === undefined) return this.votersOf(group);
    return record.replicas.slice(0, record.wanted).map(({ node }) => node);
  }

  async clusterStatus(): Promise<ClusterStatus> {
    const members = await this.members();
    const up = new Set(members.filter((member) => member.state === "up").map((member) => member.node));
    const groups: GroupStatus[] = [];
    for (const { group } of this.node.directory?.state?.groups.values() ?? []) groups.push(this.groupStatus(group, members, up));
    // A node that is up again without a quorum may know no more than what it was told when it became a member.
    if (groups.length === 0 && this.node.directory !== undefined) groups.push(this.groupStatus(systemGroup, members, up));
    groups.sort((a, b) => a.group - b.group);
    const data = groups.find((group) => group.group === defaultGroup && group.voters.length > 0);
    const voters = data ?? groups[0];
    const node = await this.nodeStatus();
    return {
      cluster: node.cluster,
      node: node.node,
      name: node.name,
      featureLevel: this.node.directory?.state?.featureLevel ?? 1,
      insecure: members.some((member) => member.report?.insecure === true),
      revision: data?.revision ?? 0,
      voters: voters?.voters.length ?? 0,
      votersUp: voters?.votersUp ?? 0,
      quorum: groups.length > 0 && groups.every((group) => group.quorum),
      canLose: groups.length === 0 ? 0 : Math.min(...groups.map((group) => group.canLose)),
      members,
      groups,
    };
  }

  private groupStatus(group: GroupId, members: readonly MemberStatus[], up: ReadonlySet<string>): GroupStatus {
    const reports = members.flatMap((member) =>
      (member.report?.replicas ?? []).filter((report) => report.group === group).map((report) => ({ node: member.node, report })),
    );
    const leading = reports.filter(({ report }) => report.role === "leader").sort((a, b) => b.report.term - a.report.term)[0];
    const best = leading?.report ?? reports.map(({ report }) => report).sort((a, b) => b.applied - a.applied)[0];
    const holders: readonly string[] = this.node.directory?.nodesOf(group) ?? [];
    const known = best?.voters ?? [];
    const voters = known.length > 0 ? known : this.plannedVotersOf(group);
    const votersUp = voters.filter((id) => up.has(id)).length;
    const needed = Math.floor(voters.length / 2) + 1;
    const fill = this.fill(group);
    return {
      group,
      name: this.nameOf(group),
      leader: leading?.node ?? null,
      term: best?.term ?? 0,
      commit: best?.commit ?? 0,
      applied: best?.applied ?? 0,
      revision: best?.revision ?? 0,
      voters,
      learners: holders.filter((id) => !voters.includes(id)),
      votersUp,
      quorum: voters.length > 0 && votersUp >= needed,
      canLose: Math.max(0, votersUp - needed),
      ...fill,
      corrupt: best?.state === "corrupt",
      writesStopped: leading?.report.writesStopped ?? false,
    };
  }

  private fill(group: GroupId): { bytes: number; maxBytes: number } {
    const replica = this.node.groups.get(group);
    if (replica === undefined || group === systemGroup) return { bytes: replica?.machine.memoryBytes ?? 0, maxBytes: 0 };
    const reply = decodeReply(replica.machine.query(queryBytes({ kind: "summary" })));
    if (!reply.ok || reply.result.kind !== "summary") return { bytes: replica.machine.memoryBytes, maxBytes: 0 };
    return { bytes: reply.result.summary.bytes, maxBytes: reply.result.summary.maxBytes };
  }
}

function remainingMs(call: Call, node: UnumNode): number {
  return Math.max(1, call.deadlineMs - node.platform.clock.now());
}
