import { MalformedBytes, Writer, defaultGroup, defaultKeyspaceName, limits, systemGroup, unreachable } from "../../base/index.ts";
import type { ClusterId, GroupId, NodeId, Reader, ReplicaId } from "../../base/index.ts";
import { refusal } from "../refusal.ts";
import type { Refusal } from "../refusal.ts";
import { readList, readNode, writeList, writeNode } from "./commands.ts";
import type { SystemCommand, SystemGroup, SystemNode, SystemReplica, SystemState } from "./types.ts";

type Of<K extends SystemCommand["kind"]> = Extract<SystemCommand, { readonly kind: K }>;

/**
 * The cluster's own state. Small, so that a change may copy a group's record. Maps are read by key
 * or through `sorted…`: their order of insertion never decides anything.
 */
export class MutableSystemState implements SystemState {
  version = 0;
  cluster: ClusterId | "" = "";
  featureLevel = 1;
  readonly nodes = new Map<NodeId, SystemNode>();
  readonly leaving = new Set<NodeId>();
  readonly removed = new Set<NodeId>();
  readonly groups = new Map<GroupId, SystemGroup>();
  readonly keyspaces = new Map<string, GroupId>();
  private nextGroup: number = defaultGroup + 1;

  /** Undefined: applied, or it had been before. */
  apply(command: SystemCommand): Refusal | undefined {
    switch (command.kind) {
      case "bootstrap":
        return this.bootstrap(command);
      case "register-node":
        return this.register(command);
      case "update-node":
        return this.update(command);
      case "remove-node":
        return this.remove(command);
      case "create-keyspace":
        return this.createKeyspace(command);
      case "set-replicas":
        return this.setReplicas(command);
      case "leave-node":
        return this.leave(command);
      case "release-replica":
        return this.release(command);
      default:
        return unreachable(command);
    }
  }

  private bootstrap(command: Of<"bootstrap">): Refusal | undefined {
    if (this.cluster !== "") return undefined;
    const replicas: SystemReplica[] = [];
    let nextReplica = 1;
    for (const { replica, ...node } of command.nodes) {
      this.nodes.set(node.node, node);
      replicas.push({ replica, node: node.node });
      nextReplica = Math.max(nextReplica, replica + 1);
    }
    replicas.sort(byReplica);
    this.raiseFeatureLevel();
    this.cluster = command.cluster;
    this.groups.set(systemGroup, {
      group: systemGroup,
      kind: "system",
      name: "system",
      wanted: limits.membersMax,
      initialVoters: command.initialVoters,
      replicas,
      nextReplica,
      version: 1,
    });
    this.version++;
    return undefined;
  }

  private nameTaken(node: SystemNode): Refusal | undefined {
    for (const other of this.nodes.values()) {
      if (other.name === node.name && other.node !== node.node && !this.leaving.has(other.node))
        return refusal("NAME_IN_USE", `node ${other.node} at ${other.address} has the name "${node.name}"`);
    }
    return undefined;
  }

  /** Once all members support a level it is the cluster's, and whoever lacks it may not join. */
  private lacksFeatures(node: SystemNode): Refusal | undefined {
    if (node.featureLevel >= this.featureLevel) return undefined;
    return refusal(
      "UPGRADE_REQUIRED",
      `the cluster is at feature level ${this.featureLevel}, and node ${node.name} knows ${node.featureLevel}`,
    );
  }

  private raiseFeatureLevel(): void {
    let common = Number.MAX_SAFE_INTEGER;
    for (const node of this.nodes.values()) common = Math.min(common, node.featureLevel);
    if (this.nodes.size > 0 && common > this.featureLevel) this.featureLevel = common;
  }

  private register(command: Of<"register-node">): Refusal | undefined {
    const { kind: _, ...node } = command;
    if (this.removed.has(node.node)) return refusal("REMOVED", `node ${node.node} was removed; its id never returns`);
    const known = this.nodes.get(node.node);
    if (known !== undefined)
      return known.incarnation === node.incarnation
        ? undefined
        : refusal("NAME_IN_USE", `node ${node.node} belongs to another data directory`);
    const taken = this.nameTaken(node) ?? this.lacksFeatures(node);
    if (taken !== undefined) return taken;
    if (this.nodes.size >= limits.membersMax)
      return refusal("OVERLOADED", `the cluster has ${limits.membersMax} members, which is the limit`);
    const system = this.groups.get(systemGroup);
    if (system === undefined) return refusal("UNAVAILABLE", "the cluster is still being formed");
    this.nodes.set(node.node, node);
    this.replaceReplicas(system, [...system.replicas.map((replica) => replica.node), node.node]);
    this.version++;
    return undefined;
  }

  private update(command: Of<"update-node">): Refusal | undefined {
    const { kind: _, ...node } = command;
    const known = this.nodes.get(node.node);
    if (known === undefined) return refusal("MEMBER_NOT_FOUND", `node ${node.node} is no member`);
    if (known.incarnation !== node.incarnation) return refusal("NAME_IN_USE", `node ${node.node} belongs to another data directory`);
    // Whoever is leaving has no claim to a name, and disputes nobody's.
    const taken = (this.leaving.has(node.node) ? undefined : this.nameTaken(node)) ?? this.lacksFeatures(node);
    if (taken !== undefined) return taken;
    this.nodes.set(node.node, node);
    this.raiseFeatureLevel();
    this.version++;
    return undefined;
  }

  private remove(command: Of<"remove-node">): Refusal | undefined {
    if (this.removed.has(command.node)) return undefined;
    if (!this.nodes.has(command.node)) return refusal("MEMBER_NOT_FOUND", `node ${command.node} is no member`);
    this.forget(command.node);
    for (const group of [...this.groups.values()]) {
      const nodes = group.replicas.map((replica) => replica.node);
      if (nodes.includes(command.node))
        this.replaceReplicas(
          group,
          nodes.filter((node) => node !== command.node),
        );
    }
    this.version++;
    return undefined;
  }

  private forget(node: NodeId): void {
    this.nodes.delete(node);
    this.leaving.delete(node);
    this.removed.add(node);
    this.raiseFeatureLevel();
  }

  private leave({ node }: Of<"leave-node">): Refusal | undefined {
    if (this.removed.has(node) || this.leaving.has(node)) return undefined;
    if (!this.nodes.has(node)) return refusal("MEMBER_NOT_FOUND", `node ${node} is no member`);
    if (this.nodes.size - this.leaving.size <= 1) return refusal("INVALID_ARGUMENT", "the last member cannot leave its cluster");
    this.leaving.add(node);
    this.forgetIfGone(node);
    this.version++;
    return undefined;
  }

  private release(command: Of<"release-replica">): Refusal | undefined {
    const group = this.groups.get(command.group);
    const released = group?.replicas.find(({ replica }) => replica === command.replica);
    if (group === undefined || released === undefined) return undefined;
    if (!this.leaving.has(released.node)) return refusal("CONFLICT", `node ${released.node} is not leaving`);
    this.replaceReplicas(
      group,
      group.replicas.map(({ node }) => node).filter((node) => node !== released.node),
    );
    this.version++;
    return undefined;
  }

  private forgetIfGone(node: NodeId): void {
    if (!this.leaving.has(node)) return;
    for (const group of this.groups.values()) if (group.replicas.some((replica) => replica.node === node)) return;
    this.forget(node);
  }

  private createKeyspace(command: Of<"create-keyspace">): Refusal | undefined {
    if (this.keyspaces.has(command.name)) return undefined;
    if (command.nodes.length === 0) return refusal("UNAVAILABLE", "no live node can hold the keyspace");
    const strange = this.cannotHold(command.nodes);
    if (strange !== undefined) return strange;
    if (this.groups.size >= limits.groupsMax) return refusal("OVERLOADED", `there are ${limits.groupsMax} groups, which is the limit`);
    const group = this.takeGroup(command.name);
    const replicas = command.nodes.map((node, index) => ({ replica: (index + 1) as ReplicaId, node }));
    // An even number of voters tolerates no more failures than one less: the last copy begins as a learner.
    const voters = replicas.length % 2 === 1 ? replicas : replicas.slice(0, -1);
    this.groups.set(group, {
      group,
      kind: "keyspace",
      name: command.name,
      wanted: command.wanted,
      initialVoters: voters.map((replica) => replica.replica),
      replicas,
      nextReplica: replicas.length + 1,
      version: 1,
    });
    this.keyspaces.set(command.name, group);
    this.version++;
    return undefined;
  }

  /** The default keyspace's group is known without asking, so nobody else's keyspace ever has it, even one that is asked for first. */
  private takeGroup(name: string): GroupId {
    return name === defaultKeyspaceName ? defaultGroup : (this.nextGroup++ as GroupId);
  }

  private setReplicas(command: Of<"set-replicas">): Refusal | undefined {
    const group = this.groups.get(command.group);
    if (group === undefined) return refusal("NOT_FOUND", `there is no group ${command.group}`);
    if (group.version !== command.version)
      return refusal("CONFLICT", `group ${command.group} is at version ${group.version}, not ${command.version}`);
    const holders = new Set(group.replicas.map(({ node }) => node));
    const strange = this.cannotHold(command.nodes, holders);
    if (strange !== undefined) return strange;
    if (command.nodes.length === 0) return refusal("INVALID_ARGUMENT", "a group keeps at least one replica");
    this.replaceReplicas(group, command.nodes);
    this.version++;
    return undefined;
  }

  private cannotHold(nodes: readonly NodeId[], holders: ReadonlySet<NodeId> = new Set()): Refusal | undefined {
    const stranger = nodes.find((node) => !this.nodes.has(node));
    if (stranger !== undefined) return refusal("MEMBER_NOT_FOUND", `node ${stranger} is no member`);
    const goer = nodes.find((node) => this.leaving.has(node) && !holders.has(node));
    if (goer !== undefined) return refusal("MEMBER_NOT_FOUND", `node ${goer} is leaving`);
    return new Set(nodes).size === nodes.length ? undefined : refusal("INVALID_ARGUMENT", "a node holds one replica of a group");
  }

  /** Nodes that stay keep their replica; new ones get an id that was never used. */
  private replaceReplicas(group: SystemGroup, nodes: readonly NodeId[]): void {
    let { nextReplica } = group;
    const replicas = nodes.map(
      (node) => group.replicas.find((replica) => replica.node === node) ?? { replica: nextReplica++ as ReplicaId, node },
    );
    replicas.sort(byReplica);
    this.groups.set(group.group, { ...group, replicas, nextReplica, version: group.version + 1 });
    for (const { node } of group.replicas) this.forgetIfGone(node);
  }

  private sortedGroups(): SystemGroup[] {
    return [...this.groups.values()].sort((a, b) => a.group - b.group);
  }

  /** The whole state, in one order whatever happened before: equal states have equal bytes. */
  encode(): Uint8Array {
    const writer = new Writer(1024);
    writer.u64(this.version).text(this.cluster).u32(this.featureLevel).u32(this.nextGroup);
    writeList(
      writer,
      [...this.nodes.values()].sort((a, b) => (a.node < b.node ? -1 : 1)),
      (node) => writeNode(writer, node),
    );
    writeList(
      writer,
      [...this.removed].sort((a, b) => (a < b ? -1 : 1)),
      (node) => writer.text(node),
    );
    writeList(writer, this.sortedGroups(), (group) => {
      writer
        .u32(group.group)
        .u8(group.kind === "system" ? 0 : 1)
        .text(group.name)
        .u32(group.wanted)
        .u32(group.nextReplica)
        .u64(group.version);
      writeList(writer, group.initialVoters, (id) => writer.u32(id));
      writeList(writer, group.replicas, ({ replica, node }) => writer.u32(replica).text(node));
    });
    // Nothing stands here for nobody, as in states that were written before members could be leaving.
    if (this.leaving.size > 0) writeList(writer, [...this.leaving].sort(byText), (node) => writer.text(node));
    return writer.take();
  }

  /** Fills an empty state. */
  restore(reader: Reader): void {
    this.version = reader.u64();
    this.cluster = reader.text() as ClusterId;
    this.featureLevel = reader.u32();
    this.nextGroup = reader.u32();
    for (const node of readList(reader, () => readNode(reader))) this.nodes.set(node.node, node);
    for (const node of readList(reader, () => reader.text() as NodeId)) this.removed.add(node);
    for (const group of readList(reader, () => readGroup(reader))) {
      this.groups.set(group.group, group);
      if (group.kind === "keyspace") this.keyspaces.set(group.name, group.group);
    }
    if (reader.remaining > 0) for (const node of readList(reader, () => reader.text() as NodeId)) this.leaving.add(node);
  }
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}

function byReplica(a: SystemReplica, b: SystemReplica): number {
  return a.replica - b.replica;
}

function readGroup(reader: Reader): SystemGroup {
  const group = reader.u32() as GroupId;
  const kind = reader.u8();
  if (kind > 1) throw new MalformedBytes(`a group of kind ${kind}`);
  const name = reader.text();
  const wanted = reader.u32();
  const nextReplica = reader.u32();
  const version = reader.u64();
  const initialVoters = readList(reader, () => reader.u32() as ReplicaId);
  const replicas = readList(reader, () => ({ replica: reader.u32() as ReplicaId, node: reader.text() as NodeId }));
  return { group, kind: kind === 0 ? "system" : "keyspace", name, wanted, initialVoters, replicas, nextReplica, version };
}

/** The state in the bytes of a "state" query. Throws `MalformedBytes`. */
export function decodeSystemState(reader: Reader): SystemState {
  const state = new MutableSystemState();
  state.restore(reader);
  reader.finish();
  return state;
}
