import { UnumError, limits, systemGroup } from "../base/index.ts";
import type { GroupId, NodeId, ReplicaId } from "../base/index.ts";
import { commandBytes, decodeReply, queryBytes } from "../machine/index.ts";
import type { SystemGroup, SystemState } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
import { releasedReplicas, stayingReplicas, wasSentAway } from "./departures.ts";
import type { UnumNode } from "./node.ts";
import { Placement } from "./placement.ts";
import { planChanges } from "./plan.ts";

/** The system group's copies that vote, at most: more would slow every change and help nobody. */
const systemVotersMax = 5;
/** A learner this close to the commit index is caught up. */
const caughtUpEntries = 1_000;
/** A replica that the cluster has given up, but whose group did not say so here, is kept for this long. */
const strayMs = 30_000;

/**
 * Makes what is follow what shall be. What shall be stands in the system group's state; each group's
 * leader changes its configuration accordingly, a step at a time, and each node opens and closes
 * replicas. Every step may be repeated after a crash.
 */
export class Controller {
  private readonly node: UnumNode;
  private readonly placement: Placement;
  private readonly strays = new Map<GroupId, number>();
  /** Groups whose replica here is being removed. */
  private readonly going = new Set<GroupId>();
  private readonly configured = new Map<GroupId, number>();
  private ticks = 0;
  /** From when this node asks to leave: to be called when the others have removed it. */
  private leaving: (() => void) | undefined;

  constructor(node: UnumNode) {
    this.node = node;
    this.placement = new Placement(node);
  }

  /** Something about the group changed: its leader looks at it with the next tick. */
  wake(_group: GroupId): void {
    this.ticks = 0;
  }

  tick(): void {
    // Every tick after a change, else about once a second.
    if (this.ticks++ % 10 > 2) return;
    const { state } = this.node.directory ?? {};
    const system = this.node.groups.get(systemGroup);
    if (system?.isServing === true) this.placement.run(state);
    if (state === undefined) return;
    this.openOwn(state);
    for (const replica of this.node.groups.all()) {
      const group = state.groups.get(replica.group);
      if (group === undefined || !replica.isServing) continue;
      this.advance(replica, group, stayingReplicas(state, group, this.placement.canGrow(state, group)));
      for (const released of releasedReplicas(state, group, replica)) this.placement.release(group.group, released);
      this.configure(replica);
      this.activate(replica, state.featureLevel);
    }
    this.removeStrays(state);
    this.replaceDiscarded(state);
    this.placement.announceSelf(state);
  }

  systemChanged(state: SystemState): void {
    this.ticks = 0;
    this.openOwn(state);
  }

  /** Opens the replicas that this node shall have. What fails, on a full disk say, is tried again later. */
  private openOwn(state: SystemState): void {
    for (const group of state.groups.values()) {
      const mine = group.replicas.find((replica) => replica.node === this.node.nodeId);
      if (mine === undefined || this.node.groups.get(group.group) !== undefined || this.isDiscarded(group.group, mine.replica)) continue;
      if (this.node.identity.isGone(group.group, mine.replica)) continue;
      this.node.groups.create(group.group, mine.replica, group.initialVoters).catch((error: unknown) => {
        this.node.platform.logger.warn("a replica could not be made", { group: group.group, error: String(error) });
      });
    }
  }

  /**
   * A leader that shall go lets a voter that stays take over, which proves that it lives, and does the rest: only who stays can be
   * sure not to leave the group to a voter that has just died.
   */
  private advance(replica: Replica, group: SystemGroup, wanted: readonly ReplicaId[]): void {
    const { configuration, transferee } = replica.raftStatus();
    const heirs = wanted.includes(replica.id) ? [] : configuration.voters.filter((id) => wanted.includes(id));
    if (heirs.length === 0 || configuration.outgoing.length > 0) return reconcile(replica, group, wanted);
    const heir = this.successorOf(replica, heirs);
    if (heir !== undefined && transferee === 0) replica.transfer(heir);
  }

  /** The data limit that this node was started with, once per leadership: it is machine state, since it changes replies. */
  private configure(replica: Replica): void {
    const { maxBytes } = this.node.options;
    if (maxBytes === 0 || replica.group === systemGroup || this.configured.get(replica.group) === replica.term) return;
    this.configured.set(replica.group, replica.term);
    const reply = decodeReply(replica.machine.query(queryBytes({ kind: "summary" })));
    if (!reply.ok || reply.result.kind !== "summary" || reply.result.summary.maxBytes === maxBytes) return;
    replica.propose(
      commandBytes({ kind: "configure", maxBytes, historyMs: limits.historyMs, historyBytes: limits.historyBytesMax }),
      undefined,
    );
  }

  /**
   * What every member supports is used from here on: the system group's state says when that is, and each group's own log says from
   * which entry on. Proposed until it is applied.
   */
  private activate(replica: Replica, featureLevel: number): void {
    if (replica.machine.featureLevel >= featureLevel) return;
    replica.propose(commandBytes({ kind: "activate", featureLevel }), undefined);
  }

  /** Its hard state was lost: it may have voted and does not know it, so it never acts again. */
  private isDiscarded(group: GroupId, replica: ReplicaId): boolean {
    const lost = this.node.discarded.get(group);
    return lost !== undefined && (lost === 0 || replica <= lost);
  }

  /** A discarded replica's place is given up; the group then gets another one, under a new id. */
  private replaceDiscarded(state: SystemState): void {
    for (const id of this.node.discarded.keys()) {
      const group = state.groups.get(id);
      const mine = group?.replicas.find((replica) => replica.node === this.node.nodeId);
      if (group !== undefined && mine !== undefined && group.replicas.length > 1 && this.isDiscarded(id, mine.replica)) {
        this.node.platform.probe?.("discarded-replica-gives-way");
        this.placement.dropOwnReplica(group);
      }
    }
  }

  private removeStrays(state: SystemState): void {
    const now = this.node.platform.clock.now();
    for (const replica of [...this.node.groups.all()]) {
      if (replica.group === systemGroup) continue;
      if (!wasSentAway(state.groups.get(replica.group), replica.id)) {
        this.strays.delete(replica.group);
        continue;
      }
      const since = this.strays.get(replica.group) ?? now;
      this.strays.set(replica.group, since);
      const { learners, outgoing, voters } = replica.configuration;
      const counted = [...voters, ...outgoing, ...learners].includes(replica.id);
      if (counted && now - since < strayMs) continue;
      this.strays.delete(replica.group);
      this.removeStray(replica);
    }
  }

  /** That it was here is durable before it goes: a restart replays states of the system group in which it still belongs here. */
  private removeStray(replica: Replica): void {
    const { groups, identity, platform, transfers } = this.node;
    if (this.going.has(replica.group)) return;
    this.going.add(replica.group);
    identity
      .giveUp(replica.group, replica.id)
      .then(() => {
        if (this.node.isStopping || groups.get(replica.group) !== replica) return;
        platform.probe?.("stray-replica-removed");
        transfers.forget(replica);
        groups.destroy(replica.group);
      })
      .catch((error: unknown) => platform.logger.warn("a replica could not be removed yet", { group: replica.group, error: String(error) }))
      .finally(() => this.going.delete(replica.group));
  }

  /** Moves every leadership to the most advanced other voter; waits briefly until it has moved. */
  async handOver(): Promise<void> {
    const { clock } = this.node.platform;
    const deadline = clock.now() + 2_000;
    while (clock.now() < deadline) {
      const leading = [...this.node.groups.all()].filter(
        (replica) => replica.isLeader && replica.failure === undefined && this.successorOf(replica) !== undefined,
      );
      if (leading.length === 0) return;
      for (const replica of leading) {
        const successor = this.successorOf(replica);
        if (successor !== undefined && replica.raftStatus().transferee === 0) replica.transfer(successor);
      }
      await new Promise<void>((resolve) => void clock.after(10, resolve));
    }
  }

  /** The voter, of all or of those given, that needs least to take over; undefined when there is none that answers. */
  successorOf(replica: Replica, among?: readonly ReplicaId[]): ReplicaId | undefined {
    const { configuration, progress } = replica.raftStatus();
    let best: { id: ReplicaId; match: number } | undefined;
    for (const id of among ?? configuration.voters) {
      const peer = progress.get(id);
      if (id === replica.id || peer === undefined || !peer.active) continue;
      if (best === undefined || peer.match > best.match) best = { id, match: peer.match };
    }
    return best?.id;
  }

  /** Gives this node's membership up: leadership first, then the record in the system group. */
  async leave(timeoutMs: number): Promise<void> {
    const members = this.node.directory?.members();
    if (members !== undefined && members.size > 1) await this.removeSelf(timeoutMs);
  }

  private async removeSelf(timeoutMs: number): Promise<void> {
    // The others may drop this node before it hears what became of its request: that they did is the answer.
    const dropped = new Promise<void>((resolve) => {
      this.leaving = resolve;
    });
    try {
      await this.handOver();
      await Promise.race([this.placement.removeNode(this.node.nodeId, timeoutMs), dropped]);
    } catch (error) {
      this.leaving = undefined;
      throw error;
    }
  }

  /** The cluster has given this node up. Whether that is what the node itself asks for, or has asked for. */
  dropped(): boolean {
    this.leaving?.();
    return this.leaving !== undefined;
  }

  /** Fulfils when no group holds the member any more and it is gone. Rejects with REMOVAL_PENDING when that takes longer. */
  removeNode(id: NodeId, timeoutMs: number): Promise<void> {
    return id === this.node.nodeId ? this.removeSelf(timeoutMs) : this.placement.removeNode(id, timeoutMs);
  }
}

/** One step from the configuration that a group has to the one of the replicas that it shall have. */
export function reconcile(replica: Replica, group: SystemGroup, wanted: readonly ReplicaId[]): void {
  const { commit, configuration, progress } = replica.raftStatus();
  if (configuration.outgoing.length > 0) return;
  const most = group.group === systemGroup ? systemVotersMax : group.wanted;
  const ready = (id: ReplicaId): boolean => {
    if (id === replica.id) return true;
    const peer = progress.get(id);
    return peer !== undefined && peer.active && !peer.suspect && peer.match + caughtUpEntries >= commit && peer.state === "replicate";
  };
  const changes = planChanges(configuration, wanted, most, ready, replica.id);
  if (changes.length > 0) replica.changeConfiguration(changes);
}

export function memberNotFound(name: string): UnumError {
  return new UnumError("MEMBER_NOT_FOUND", `No member has the name or id "${name}".`);
}
