import { UnumError } from "../base/index.ts";
import { featureLevelMax } from "../machine/index.ts";
import type { KeyspaceOptions } from "../machine/index.ts";
import { parseAddress } from "../ports/index.ts";
import type { Address } from "../ports/index.ts";
import type { Entry, RaftLimits } from "../raft/index.ts";
import type { Replica } from "../replica/index.ts";
import type { GroupLog, StorageSettings } from "../storage/index.ts";

/** Who looks at the replicas of a node from inside (the simulator's checkers). Must not change anything. */
export interface NodeObserver {
  /** A replica begins: from nothing, from its disk, or anew from a snapshot that it was sent. */
  began(replica: Replica): void;
  applied(replica: Replica, entry: Entry): void;
  /** Linearizable reads wait for a quorum, under this number of the replica's own; and it was heard. */
  readsAsked(replica: Replica, context: number): void;
  readsConfirmed(replica: Replica, context: number): void;
  /** A keep-alive came to the group's leader here, under this number of the node's own; and it was answered: the lease lives on. */
  renewalAsked?(replica: Replica, number: number): void;
  renewed?(replica: Replica, number: number, lease: bigint): void;
  /** Stands between a replica and its log from here on; the same log, but for whoever counts what is written. */
  log?(log: GroupLog): GroupLog;
  /** Role, term or leader. */
  changed(replica: Replica): void;
  /** The replica's state is not the majority's; it begins anew. */
  discarded?(replica: Replica): void;
  /** The group has stopped on this node, `replica.failure` says why. */
  stopped(replica: Replica): void;
}

/** What a node is started with, checked and complete. */
export interface NodeOptions {
  /** Empty: made from the node's id. */
  readonly name: string;
  readonly listen: Address;
  /** "host:port" that others reach this node at. */
  readonly advertise: string | undefined;
  readonly seeds: readonly string[];
  /** How many empty nodes form the cluster. */
  readonly expect: number;
  readonly zone: string;
  readonly ephemeral: boolean;
  /** Copies of each keyspace. */
  readonly replicas: number;
  /** Listens beyond loopback without a secret. */
  readonly insecure: boolean;
  /** A dead ephemeral node is removed after this. */
  readonly removeDeadAfterMs: number;
  /** Data per keyspace created by this node; 0: the default. */
  readonly maxBytes: number;
  readonly version: string;
  readonly tickMs: number;
  readonly electionTicks: number;
  readonly snapshotLogBytes: number | undefined;
  /** What this build supports, when it is to pass for another one (in tests); absent: `featureLevel`. */
  readonly featureLevel?: number | undefined;
  /** Time between two comparisons of a group's replicas; absent: the limit's. */
  readonly checkpointMs?: number | undefined;
  /** What state, history, log tails and buffers may take together. */
  readonly memoryBudgetBytes: number;
  /** Whether the language's own heap is nearly used. Default: never. */
  readonly isHeapFull?: (() => boolean) | undefined;
  /** Resident memory of the process, for status. */
  readonly residentBytes: () => number;
  /** Sizes and times of storage that differ from its defaults: a simulated node has small segments. */
  readonly storage?: Partial<StorageSettings> | undefined;
  readonly observer?: NodeObserver | undefined;
  /** Limits of consensus that differ from `limits`: a simulated node holds little of its logs in memory. */
  readonly raftLimits?: Partial<RaftLimits> | undefined;
  /** What keyspaces begin with where it is not the default: the same on all nodes. A simulated cluster forgets sooner. */
  readonly keyspaces?: KeyspaceOptions | undefined;
}

/** What this build supports: the highest level that its machines apply. */
export const featureLevel: number = featureLevelMax;

/** What a node supports. */
export function featureLevelOf(options: NodeOptions): number {
  return options.featureLevel ?? featureLevel;
}

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Checks what a user said. Throws INVALID_ARGUMENT, or INSECURE for an address beyond loopback. */
export function checkOptions(options: NodeOptions): void {
  if (options.name !== "" && !namePattern.test(options.name))
    throw new UnumError("INVALID_ARGUMENT", `A node's name is 1 to 63 letters, digits, ".", "_" or "-"; "${options.name}" is not.`);
  checkSeeds(options.seeds, options.expect);
  if (!options.insecure && !isLoopback(options.listen.host)) {
    throw new UnumError(
      "INSECURE",
      `The node would listen on ${options.listen.host} without a secret. Listen on 127.0.0.1, or say --insecure when the network is trusted.`,
    );
  }
}

/** One name whose addresses are the seeds: "dns:name:port". */
export function isDnsSeed(seed: string): boolean {
  return seed.startsWith("dns:");
}

function checkSeeds(seeds: readonly string[], expect: number): void {
  if (seeds.length === 0) return;
  for (const seed of seeds) {
    const address = parseAddress(isDnsSeed(seed) ? seed.slice(4) : seed);
    if (address === undefined || (isDnsSeed(seed) && seeds.length > 1))
      throw new UnumError("INVALID_ARGUMENT", `Seed "${seed}": write one dns:name:port, or a list of host:port.`);
  }
  if (seeds.some(isDnsSeed)) {
    // A name has as many addresses as there are nodes by now: only the user knows how many there shall be.
    if (expect < 1) throw new UnumError("INVALID_ARGUMENT", "With dns: seeds, expect must say how many empty nodes form the cluster.");
    return;
  }
  if (expect <= seeds.length / 2) {
    throw new UnumError(
      "INVALID_ARGUMENT",
      `expect is ${expect}: with ${seeds.length} seeds it must be a majority of them, or two clusters could form.`,
    );
  }
  if (expect > seeds.length) throw new UnumError("INVALID_ARGUMENT", `expect is ${expect}, but only ${seeds.length} seeds are listed.`);
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}
