import { UnumError, limits, systemGroup } from "../base/index.ts";
import type { GroupId, Probe } from "../base/index.ts";
import { keyspaceFactory, systemFactory } from "../machine/index.ts";
import type { MachineFactory } from "../machine/index.ts";
import type { ReplicaHost } from "../replica/index.ts";
import { decodeStateMessage, encodeStateMessage } from "../wire/index.ts";
import type { GateHost } from "./gate.ts";
import type { LinksOptions } from "./links.ts";
import type { MemoryOptions } from "./memory.ts";
import type { UnumNode } from "./node.ts";
import { featureLevelOf } from "./options.ts";
import type { NodeObserver, NodeOptions } from "./options.ts";

function observedBy(observer: NodeObserver): Pick<ReplicaHost, "entryApplied" | "readsAsked" | "readsConfirmed"> {
  return {
    entryApplied: (replica, entry) => observer.applied(replica, entry),
    readsAsked: (replica, context) => observer.readsAsked(replica, context),
    readsConfirmed: (replica, context) => observer.readsConfirmed(replica, context),
  };
}

/** What the replicas of a node ask of it. */
export function replicaHostOf(node: UnumNode): ReplicaHost {
  const { observer } = node.options;
  const { clock, logger, probe } = node.platform;
  return {
    ...(observer === undefined ? {} : observedBy(observer)),
    clock,
    logger,
    probe,
    raftLimits: node.options.raftLimits,
    dirty: (replica) => {
      node.groups.markDirty(replica);
      node.schedule();
    },
    send: (group, message) => {
      const to = node.directory?.nodeOf(group, message.to);
      if (to !== undefined) node.links.send(to, group, message);
    },
    sendSnapshot: (replica, to, file) => {
      const target = node.directory?.nodeOf(replica.group, to);
      if (target === undefined) replica.snapshotFailed(to);
      else node.transfers.send(replica, to, target, file);
    },
    sendState: (group, message) => {
      const to = node.directory?.nodeOf(group, message.to);
      if (to !== undefined) node.links.sendControl(to, encodeStateMessage(group, message));
    },
    declinesLeadership: () => node.wallClocks.isOff,
    changed: (replica) => node.changed(replica),
    applied: (replica) => node.applied(replica),
    replaced: (replica) => {
      const reason = "The state was replaced by a snapshot on this node; the watch goes on elsewhere.";
      node.watches.end(replica.group, new UnumError("UNAVAILABLE", reason));
      observer?.began(replica);
      node.applied(replica);
    },
    discarded: (replica) => {
      observer?.discarded?.(replica);
      const reason = "The state on this node is not the majority's and is being replaced; the watch goes on elsewhere.";
      node.watches.end(replica.group, new UnumError("UNAVAILABLE", reason));
    },
    stopped: (replica, error) => {
      observer?.stopped(replica);
      logger.error("a group has stopped on this node", { group: replica.group, error: error.message });
      node.watches.end(replica.group, error);
    },
  };
}

/** The machine of a group, as a build of this level has it. */
export function machineFactoryOf(group: GroupId, options: NodeOptions, probe: Probe | undefined): MachineFactory {
  const level = featureLevelOf(options);
  return group === systemGroup ? systemFactory(level) : keyspaceFactory({ ...options.keyspaces, probe }, level);
}

/** What the gate asks of the node behind it, but for the methods that have a part of their own. */
export function gateHostOf(node: UnumNode): Omit<GateHost, "keyspace" | "admin" | "backup" | "membership"> {
  return {
    clock: node.platform.clock,
    replica: (group) => node.groups.get(group),
    isDiskFull: () => node.storage.full,
    lowVoter: (group) => {
      const low = node.memory.lowVoter(group);
      return low === undefined ? undefined : (node.directory?.members().get(low)?.name ?? low);
    },
    schedule: () => node.schedule(),
    heldBytesMax: Math.min(limits.heldBytesMax, node.options.memoryBudgetBytes / 4),
    grew: (bytes) => node.memory.grew(bytes),
    forward: (call) => node.router.forward(call),
    watch: (call) => node.watch(call),
    leaderHint: (group) => node.announcements.hint(group),
    greeting: () => node.announcements.greeting(),
    observer: node.options.observer,
  };
}

/** What counts against the node's memory budget. */
export function memoryOptionsOf(node: UnumNode): MemoryOptions {
  return {
    clock: node.platform.clock,
    budgetBytes: node.options.memoryBudgetBytes,
    isHeapFull: node.options.isHeapFull ?? (() => false),
    node: node.nodeId,
    replicas: () => node.groups.all(),
    bufferedBytes: () => node.gate.bufferedBytes + node.links.bufferedBytes + node.storage.queuedBytes,
    nodeOf: (group, replica) => node.directory?.nodeOf(group, replica),
  };
}

/** What the connections to other nodes bring. */
export function linksOptionsOf(node: UnumNode): Omit<LinksOptions, "clock" | "logger" | "prng" | "onRemoved"> {
  return {
    streams: node.platform.streams,
    hello: (purpose) => node.introduction.hello(purpose),
    onMessage: (from, group, message) => {
      const replica = node.groups.get(group);
      if (replica === undefined) return;
      node.neighbours.heard(group, message.from, from);
      replica.step(message);
    },
    onState: (frame) => {
      const { group, message } = decodeStateMessage(frame);
      node.groups.get(group)?.stateHeard(message);
    },
    onClock: (from, frame) => node.wallClocks.answered(from, frame),
    headroom: () => node.memory.headroom,
    onHeadroom: (from, headroom) => node.memory.heard(from, headroom),
    onBulk: (from, frame, reply) => node.transfers.receive(from, frame, reply),
    onBulkAnswer: (from, frame) => node.transfers.answer(from, frame),
    onBroken: (peer) => node.hints.onBroken(peer),
    onLost: (peer) => node.hints.onLost(peer),
    onBack: (peer) => node.hints.onBack(peer),
    onSilent: (peer) => node.router.drop(peer),
    onMet: (peer, address) => node.neighbours.met(peer, address),
  };
}
