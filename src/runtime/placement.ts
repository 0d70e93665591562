import { UnumError, defaultGroup, defaultKeyspaceName, systemGroup } from "../base/index.ts";
import type { GroupId, NodeId, ReplicaId } from "../base/index.ts";
import { decodeReply, noEnvelope, systemCommandBytes } from "../machine/index.ts";
import type { SystemCommand, SystemGroup, SystemNode, SystemState } from "../machine/index.ts";
import { removalPending } from "./departures.ts";
import type { UnumNode } from "./node.ts";

const proposeMs = 5_000;
/** How often whoever waits for a removal looks whether it is done. */
const lookMs = 20;

/** Decides which node holds which replica. Runs on the system group's leader, one decision at a time. */
export class Placement {
  private readonly node: UnumNode;
  private busy = false;
  private announcing = false;
  private readonly deadSince = new Map<NodeId, number>();
  /** Releases under way, as "group/replica". */
  private readonly releasing = new Set<string>();

  constructor(node: UnumNode) {
    this.node = node;
  }

  private async propose(command: SystemCommand, timeoutMs: number = proposeMs): Promise<void> {
    const reply = decodeReply(await this.node.router.propose(systemGroup, systemCommandBytes(noEnvelope, command), timeoutMs));
    if (!reply.ok) throw new UnumError(reply.code, reply.message, { details: reply.details });
  }

  run(state: SystemState | undefined): void {
    if (this.busy) return;
    const command = state === undefined ? this.bootstrap() : this.next(state);
    if (command === undefined) return;
    this.busy = true;
    this.propose(command).then(
      () => this.settled(),
      (error: unknown) => {
        this.node.platform.logger.debug("a placement was not agreed to; it is decided anew", { error: String(error) });
        this.settled();
      },
    );
  }

  private settled(): void {
    this.busy = false;
  }

  /** The first command of a cluster: what the founders agreed on. */
  private bootstrap(): SystemCommand | undefined {
    const { bootstrap, cluster } = this.node.identity.value;
    if (bootstrap === undefined || cluster === undefined) return undefined;
    const replicaOf = new Map(bootstrap.replicas.map((replica) => [replica.node, replica.replica]));
    return {
      kind: "bootstrap",
      cluster,
      initialVoters: bootstrap.initialVoters.map((id) => id as never),
      nodes: bootstrap.members.map((member) => ({ ...member, replica: (replicaOf.get(member.node) ?? 0) as never })),
    };
  }

  private next(state: SystemState): SystemCommand | undefined {
    if (!state.groups.has(defaultGroup)) {
      return {
        kind: "create-keyspace",
        name: defaultKeyspaceName,
        wanted: this.node.options.replicas,
        nodes: this.choose(state, this.node.options.replicas, []),
      };
    }
    return this.replaceDeadEphemeral(state) ?? this.growGroup(state);
  }

  /** A keyspace with fewer copies than wanted gets one more, where a live node has room. */
  private growGroup(state: SystemState): SystemCommand | undefined {
    for (const group of state.groups.values()) {
      if (group.group === systemGroup) continue;
      const missing = missingCopies(state, group);
      if (missing <= 0) continue;
      const holders = group.replicas.map((replica) => replica.node);
      const more = this.choose(state, missing, holders);
      if (more.length > 0) return { kind: "set-replicas", group: group.group, version: group.version, nodes: [...holders, ...more] };
    }
    return undefined;
  }

  /** Whether the group has fewer copies than wanted, those on leaving members aside, and a live node could hold one more. */
  canGrow(state: SystemState, group: SystemGroup): boolean {
    const holders = group.replicas.map((replica) => replica.node);
    return missingCopies(state, group) > 0 && this.choose(state, 1, holders).length > 0;
  }

  private replaceDeadEphemeral(state: SystemState): SystemCommand | undefined {
    const now = this.node.platform.clock.now();
    for (const member of state.nodes.values()) {
      if (member.node === this.node.nodeId || this.node.links.isConnected(member.node)) {
        this.deadSince.delete(member.node);
        continue;
      }
      const since = this.deadSince.get(member.node) ?? now;
      this.deadSince.set(member.node, since);
      if (member.ephemeral && !state.leaving.has(member.node) && now - since > this.node.options.removeDeadAfterMs)
        return { kind: "leave-node", node: member.node };
    }
    return undefined;
  }

  /** Up to `count` live nodes for a new keyspace or a further copy: other zones first, then the least loaded, then by id. */
  choose(state: SystemState, count: number, taken: readonly NodeId[]): NodeId[] {
    const load = new Map<NodeId, number>();
    for (const group of state.groups.values()) for (const { node } of group.replicas) load.set(node, (load.get(node) ?? 0) + 1);
    const zones = new Map<string, number>();
    for (const id of taken) {
      const zone = state.nodes.get(id)?.zone ?? "";
      zones.set(zone, (zones.get(zone) ?? 0) + 1);
    }
    const candidates = [...state.nodes.values()].filter(
      (member) =>
        !taken.includes(member.node) &&
        !state.leaving.has(member.node) &&
        (member.node === this.node.nodeId || this.node.links.isConnected(member.node)),
    );
    const chosen: NodeId[] = [];
    while (chosen.length < count && candidates.length > 0) {
      candidates.sort((a, b) => this.rank(a, zones, load) - this.rank(b, zones, load) || (a.node < b.node ? -1 : 1));
      const best = candidates.shift() as SystemNode;
      chosen.push(best.node);
      zones.set(best.zone, (zones.get(best.zone) ?? 0) + 1);
    }
    return chosen;
  }

  private rank(member: SystemNode, zones: ReadonlyMap<string, number>, load: ReadonlyMap<NodeId, number>): number {
    return (zones.get(member.zone) ?? 0) * 100_000 + (load.get(member.node) ?? 0);
  }

  /** This node's address or version has changed since it was recorded. */
  announceSelf(state: SystemState): void {
    const recorded = state.nodes.get(this.node.nodeId);
    const card = this.node.introduction.card();
    if (recorded === undefined || this.announcing) return;
    if (
      recorded.address === card.address &&
      recorded.zone === card.zone &&
      recorded.featureLevel === card.featureLevel &&
      recorded.name === card.name
    )
      return;
    this.announcing = true;
    this.propose({ kind: "update-node", ...card }).then(
      () => {
        this.announcing = false;
      },
      (error: unknown) => {
        this.announcing = false;
        this.node.platform.logger.debug("the change of address was not agreed to; it is tried again", { error: String(error) });
      },
    );
  }

  dropOwnReplica(group: SystemGroup): void {
    if (this.busy) return;
    this.busy = true;
    const nodes = group.replicas.map((replica) => replica.node).filter((node) => node !== this.node.nodeId);
    this.propose({ kind: "set-replicas", group: group.group, version: group.version, nodes }).then(
      () => this.settled(),
      (error: unknown) => {
        this.node.platform.logger.debug("a discarded replica's place was not given up yet", { group: group.group, error: String(error) });
        this.settled();
      },
    );
  }

  async createKeyspace(name: string, wanted: number): Promise<GroupId> {
    const state = this.node.directory?.state;
    if (state === undefined) throw new UnumError("UNAVAILABLE", "The cluster is still being formed.");
    await this.propose({ kind: "create-keyspace", name, wanted, nodes: this.choose(state, wanted, []) });
    const group = this.node.directory?.state?.keyspaces.get(name);
    if (group === undefined) throw new UnumError("UNAVAILABLE", "The keyspace was created and is not visible here yet; ask again.");
    return group;
  }

  /** A group's leader says that the group does without the replica. */
  release(group: GroupId, replica: ReplicaId): void {
    const key = `${group}/${replica}`;
    if (this.releasing.has(key)) return;
    this.releasing.add(key);
    this.node.platform.probe?.("leaving-replica-released");
    this.propose({ kind: "release-replica", group, replica })
      .catch((error: unknown) => {
        this.node.platform.logger.debug("that a group does without a replica was not recorded yet", {
          group,
          replica,
          error: String(error),
        });
      })
      .finally(() => this.releasing.delete(key));
  }

  /** Fulfils when the member is gone; rejects with REMOVAL_PENDING when a group still needs it then. */
  async removeNode(id: NodeId, timeoutMs: number): Promise<void> {
    const { clock } = this.node.platform;
    const deadline = clock.now() + timeoutMs;
    await this.propose({ kind: "leave-node", node: id }, timeoutMs);
    while (this.node.directory?.state?.nodes.has(id) !== false) {
      if (clock.now() >= deadline || this.node.isStopping) throw removalPending(this.node.directory?.state, id);
      await new Promise<void>((resolve) => void clock.after(lookMs, resolve));
    }
  }
}

/** How many copies a group lacks once its leaving members are gone. */
function missingCopies(state: SystemState, group: SystemGroup): number {
  if (group.group === systemGroup) return 0;
  return group.wanted - group.replicas.filter(({ node }) => !state.leaving.has(node)).length;
}
