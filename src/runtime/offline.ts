import { Prng, UnumError, defaultKeyspaceName, hexEncode, hexId, systemGroup } from "../base/index.ts";
import type { ClusterId, GroupId, NodeId, ReplicaId } from "../base/index.ts";
import {
  decodeReply,
  keyspaceFactory,
  noEnvelope,
  queryBytes,
  readEntry,
  rebaseKeyspace,
  systemCommandBytes,
  systemFactory,
} from "../machine/index.ts";
import type { KeyspaceMachine, Machine, MachineFactory, SystemMachine, SystemNode } from "../machine/index.ts";
import type { Clock, Platform } from "../ports/index.ts";
import { EntryKind } from "../raft/index.ts";
import type { Configuration } from "../raft/index.ts";
import { loadMachine } from "../replica/index.ts";
import { lockDataDirectory, openStorage, readIdentity, writeIdentity } from "../storage/index.ts";
import type { GroupLog, Storage } from "../storage/index.ts";
import { BackupReader } from "./backup-file.ts";
import type { BackupManifest } from "./backup-file.ts";
import type { Identity } from "./identity.ts";
import { featureLevel } from "./options.ts";

/** The parts of a platform that a directory at rest needs. */
export type OfflinePlatform = Omit<Platform, "streams" | "names">;

export interface RestoreReport {
  readonly cluster: string;
  readonly keyspaces: readonly { readonly name: string; readonly revision: number; readonly keys: number }[];
}

export interface RecoveryPlan {
  readonly cluster: string;
  readonly name: string;
  readonly groups: readonly {
    readonly group: number;
    readonly name: string;
    readonly lastTerm: number;
    readonly lastIndex: number;
    readonly commit: number;
    readonly revision: number;
    /** Names of the voters that are given up. */
    readonly votersLost: readonly string[];
  }[];
  /** Names of keyspaces without a copy in this directory: they are given up as a whole. */
  readonly keyspacesLost: readonly string[];
}

interface NamedKeyspace {
  readonly name: string;
  /** Copies. */
  readonly wanted: number;
}

/** One keyspace at a time is in memory. */
type Machines = AsyncIterable<{ readonly name: string; readonly machine: KeyspaceMachine }>;

/** Copies of a keyspace whose backup does not say how many it had. */
const wantedDefault = 3;

const applyChunkBytes = 4 * 1024 * 1024;

/**
 * Fills an empty directory from a backup: a cluster of one with a new id, which others may join.
 * Sessions, leases and claims are gone; every revision goes on at saved + 2^40, everything before
 * compacted. Rejects with INVALID_ARGUMENT when the directory is not empty, CORRUPT, DATA_DIR_LOCKED.
 */
export async function restoreDirectory(
  platform: OfflinePlatform,
  backup: AsyncIterable<Uint8Array>,
  node: { readonly name: string; readonly address: string },
): Promise<RestoreReport> {
  return locked(platform, async () => {
    if ((await readIdentity(platform.disk)) !== undefined)
      throw new UnumError("INVALID_ARGUMENT", "The directory belongs to a node already; restore into an empty one.");
    const reader = new BackupReader(backup, platform.checksum);
    const manifest = await reader.manifest();
    const keyspaces = manifest.keyspaces.map(({ name, wanted }) => ({ name, wanted: wanted ?? wantedDefault }));
    return writeDirectory(platform, keyspaces, machinesOf(reader, manifest), node);
  });
}

async function* machinesOf(reader: BackupReader, manifest: BackupManifest): Machines {
  for (const { name } of manifest.keyspaces) {
    const restorer = keyspaceFactory({}).restore();
    for (let record = await reader.record(); record.length > 0; record = await reader.record()) restorer.push(record);
    yield { name, machine: rebaseKeyspace(restorer.finish() as KeyspaceMachine) };
  }
}

/** What `recoverDirectory` would keep and give up. Changes nothing. */
export async function planRecovery(platform: OfflinePlatform): Promise<RecoveryPlan> {
  return locked(platform, async () => {
    const { identity, storage, system } = await openOld(platform);
    try {
      const groups: RecoveryPlan["groups"][number][] = [];
      for (const log of sortedLogs(storage)) {
        const { group, recovered } = log;
        const record = system.state.groups.get(group);
        const machine =
          group === systemGroup ? system : await replay(platform.clock, log, keyspaceFactory({}).create(), keyspaceFactory({}));
        const last = recovered.terms[recovered.terms.length - 1];
        groups.push({
          group,
          name: record?.name ?? `group-${group}`,
          lastTerm: last?.term ?? recovered.snapshot.term,
          lastIndex: recovered.lastIndex,
          commit: recovered.hardState.commit,
          revision: machine.revision,
          votersLost: (record?.replicas ?? [])
            .filter(({ node }) => node !== identity.node)
            .map(({ node }) => system.state.nodes.get(node)?.name ?? node),
        });
      }
      const keyspacesLost = [...system.state.groups.values()]
        .filter(({ group }) => group !== systemGroup && !storage.groups.has(group))
        .map(({ name }) => name);
      const name = system.state.nodes.get(identity.node)?.name ?? "";
      return { cluster: identity.cluster ?? "", name, groups, keyspacesLost };
    } finally {
      await storage.close();
    }
  });
}

/**
 * Makes the survivor of a lost majority a cluster of one: everything in its log counts, committed or
 * not, under a new cluster id, so that nodes of the old cluster are refused. Reads `old`, fills the
 * empty `fresh`; the caller puts one in the other's place afterwards.
 */
export async function recoverDirectory(old: OfflinePlatform, fresh: OfflinePlatform): Promise<RestoreReport> {
  return locked(old, async () => {
    const { identity, storage, system } = await openOld(old);
    try {
      const held = sortedLogs(storage).flatMap((log) => {
        const record = system.state.groups.get(log.group);
        return log.group === systemGroup || record === undefined ? [] : [{ log, name: record.name, wanted: record.wanted }];
      });
      const self = system.state.nodes.get(identity.node);
      const card = { name: self?.name ?? "", address: self?.address ?? "" };
      return await locked(fresh, () => writeDirectory(fresh, held, replayed(old.clock, held), card));
    } finally {
      await storage.close();
    }
  });
}

async function* replayed(clock: Clock, held: readonly { readonly log: GroupLog; readonly name: string }[]): Machines {
  for (const { log, name } of held) {
    const machine = (await replay(clock, log, keyspaceFactory({}).create(), keyspaceFactory({}))) as KeyspaceMachine;
    yield { name, machine: rebaseKeyspace(machine) };
  }
}

async function locked<T>(platform: OfflinePlatform, work: () => Promise<T>): Promise<T> {
  const lock = await lockDataDirectory(platform.disk);
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

function open(platform: OfflinePlatform): Promise<Storage> {
  const { checksum, clock, disk, logger, random } = platform;
  return openStorage({ disk, clock, checksum, logger, prng: new Prng(hexEncode(random.bytes(16))) });
}

async function openOld(platform: OfflinePlatform): Promise<{ identity: Identity; storage: Storage; system: SystemMachine }> {
  const identity = (await readIdentity(platform.disk)) as Identity | undefined;
  if (identity?.cluster === undefined) throw new UnumError("INVALID_ARGUMENT", "The directory holds no member of a cluster.");
  const storage = await open(platform);
  const log = storage.groups.get(systemGroup);
  if (log === undefined) {
    await storage.close();
    throw new UnumError("CORRUPT", "The directory has lost the system group's log; it cannot be recovered from.");
  }
  const system = (await replay(platform.clock, log, systemFactory().create(), systemFactory())) as SystemMachine;
  return { identity, storage, system };
}

function sortedLogs(storage: Storage): GroupLog[] {
  return [...storage.groups.values()].sort((a, b) => a.group - b.group);
}

/** The machine with the whole log applied: snapshot, then every entry. */
async function replay(clock: Clock, log: GroupLog, empty: Machine, factory: MachineFactory): Promise<Machine> {
  const { lastIndex, snapshot } = log.recovered;
  const machine = log.snapshot === undefined ? empty : await loadMachine(log.snapshot, factory, clock);
  for (let at = snapshot.index + 1; at <= lastIndex; ) {
    const entries = await log.read(at, lastIndex, applyChunkBytes);
    for (const entry of entries) {
      at = entry.index + 1;
      if (entry.kind !== EntryKind.normal || entry.data.length === 0) continue;
      const { timestamp, commands } = readEntry(entry.data);
      const meta = { index: entry.index, term: entry.term, position: 0, timestamp };
      for (const command of commands) {
        machine.apply(command, meta);
        meta.position++;
      }
    }
  }
  return machine;
}

/** A new cluster of one in an empty directory, each group with one snapshot. */
async function writeDirectory(
  platform: OfflinePlatform,
  keyspaces: readonly NamedKeyspace[],
  machines: Machines,
  card: { readonly name: string; readonly address: string },
): Promise<RestoreReport> {
  const { disk, random } = platform;
  const node = hexId<NodeId>(random.bytes(8));
  const cluster = hexId<ClusterId>(random.bytes(8));
  const incarnation = hexId<string & NodeId>(random.bytes(8));
  const member: SystemNode = { node, name: card.name, address: card.address, zone: "", incarnation, ephemeral: false, featureLevel };
  const replica = 1 as ReplicaId;
  const system = systemFactory().create();
  const tell = (command: Parameters<typeof systemCommandBytes>[1]): void => {
    system.apply(systemCommandBytes(noEnvelope, command), { index: 1, term: 1, position: 0, timestamp: 0 });
  };
  tell({ kind: "bootstrap", cluster, initialVoters: [replica], nodes: [{ ...member, replica }] });
  // The default keyspace is group 1 whatever the order in the backup.
  const ordered = [...keyspaces].sort((a, b) => Number(b.name === defaultKeyspaceName) - Number(a.name === defaultKeyspaceName));
  const withDefault = ordered[0]?.name === defaultKeyspaceName;
  if (!withDefault) ordered.unshift({ name: defaultKeyspaceName, wanted: wantedDefault });
  for (const { name, wanted } of ordered) tell({ kind: "create-keyspace", name, wanted, nodes: [node] });
  const storage = await open(platform);
  const reports: RestoreReport["keyspaces"][number][] = [];
  try {
    let incarnations = 0;
    const held: Record<number, number> = { [systemGroup]: replica };
    await writeGroup(storage, systemGroup, replica, ++incarnations, system);
    const write = async (name: string, machine: KeyspaceMachine): Promise<void> => {
      const group = system.state.keyspaces.get(name);
      if (group === undefined) throw new UnumError("CORRUPT", `The backup names keyspace "${name}" in a way that no cluster takes.`);
      await writeGroup(storage, group, replica, ++incarnations, machine);
      held[group] = replica;
      reports.push({ name, revision: machine.revision, keys: keysOf(machine) });
    };
    for await (const { name, machine } of machines) await write(name, machine);
    if (!withDefault) await write("default", keyspaceFactory({}).create());
    const identity: Identity = {
      node,
      incarnation,
      cluster,
      held,
      incarnations,
      bootstrap: { initialVoters: [replica], replicas: [{ replica, node }], members: [member], replica },
    };
    // Last: without an identity the directory still counts as empty.
    await writeIdentity(disk, identity);
  } finally {
    await storage.close();
  }
  return { cluster, keyspaces: reports };
}

async function writeGroup(storage: Storage, group: GroupId, replica: ReplicaId, incarnation: number, machine: Machine): Promise<void> {
  const configuration: Configuration = { voters: [replica], outgoing: [], learners: [], learnersNext: [], autoLeave: false };
  const log = storage.create(group, replica, incarnation, { index: 0, term: 0, configuration });
  const source = machine.snapshot();
  const chunks: Uint8Array[] = [];
  for (let chunk = source.next(applyChunkBytes); chunk !== undefined; chunk = source.next(applyChunkBytes)) chunks.push(chunk);
  source.release();
  const meta = { index: 1, term: 1, configuration };
  const receiver = await log.receiveSnapshot(
    meta,
    chunks.reduce((sum, chunk) => sum + chunk.length, 0),
  );
  let at = receiver.received;
  for (const chunk of chunks) at = await receiver.write(at, chunk);
  const file = await receiver.finish();
  await new Promise<void>((resolve) => {
    log.install(file, { term: 1, vote: replica, commit: 1 }, false, resolve);
    storage.flush();
  });
}

function keysOf(machine: Machine): number {
  const reply = decodeReply(machine.query(queryBytes({ kind: "summary" })));
  return reply.ok && reply.result.kind === "summary" ? reply.result.summary.keys : 0;
}
