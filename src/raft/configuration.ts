import { MalformedBytes, Reader, Writer } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import type { Configuration } from "./types.ts";

const formatVersion = 1;

export const emptyConfiguration: Configuration = { voters: [], outgoing: [], learners: [], learnersNext: [], autoLeave: false };

/** The data of a configuration entry: [u8 version], four lists as [u16 count][u32 id]…, [u8 autoLeave]. */
export function encodeConfiguration(configuration: Configuration): Uint8Array {
  const writer = new Writer(64).u8(formatVersion);
  for (const list of [configuration.voters, configuration.outgoing, configuration.learners, configuration.learnersNext]) {
    writer.u16(list.length);
    for (const replica of list) writer.u32(replica);
  }
  return writer.u8(configuration.autoLeave ? 1 : 0).copy();
}

/** Throws `MalformedBytes`. */
export function decodeConfiguration(bytes: Uint8Array): Configuration {
  const reader = new Reader(bytes);
  const version = reader.u8();
  if (version !== formatVersion) throw new MalformedBytes(`configuration format ${version}`);
  const voters = readList(reader);
  const outgoing = readList(reader);
  const learners = readList(reader);
  const learnersNext = readList(reader);
  const autoLeave = reader.u8();
  if (autoLeave > 1) throw new MalformedBytes(`configuration flag ${autoLeave}`);
  reader.finish();
  return { voters, outgoing, learners, learnersNext, autoLeave: autoLeave === 1 };
}

function readList(reader: Reader): ReplicaId[] {
  const count = reader.u16();
  if (count * 4 > reader.remaining) throw new MalformedBytes(`${count} replicas in ${reader.remaining} bytes`);
  const list: ReplicaId[] = [];
  for (let i = 0; i < count; i++) list.push(reader.u32() as ReplicaId);
  return list;
}

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0;
}

/** Whether `replica` counts to a quorum of the configuration, on either side of a joint one. */
export function isVoter(configuration: Configuration, replica: ReplicaId): boolean {
  return configuration.voters.includes(replica) || configuration.outgoing.includes(replica);
}

/** Voters of both sides, ascending, each once. */
export function votersOf(configuration: Configuration): readonly ReplicaId[] {
  return isJoint(configuration) ? sortedUnion(configuration.voters, configuration.outgoing) : configuration.voters;
}

/** Everyone who gets the log, ascending, each once. */
export function membersOf(configuration: Configuration): readonly ReplicaId[] {
  return sortedUnion(
    sortedUnion(configuration.voters, configuration.outgoing),
    sortedUnion(configuration.learners, configuration.learnersNext),
  );
}

export function sortedUnion(a: readonly ReplicaId[], b: readonly ReplicaId[]): ReplicaId[] {
  return [...new Set([...a, ...b])].sort((x, y) => x - y);
}

export function describeConfiguration(configuration: Configuration): string {
  const { voters, outgoing, learners, learnersNext, autoLeave } = configuration;
  let text = `voters=(${voters.join(" ")})`;
  if (outgoing.length > 0) text += ` outgoing=(${outgoing.join(" ")})`;
  if (learners.length > 0) text += ` learners=(${learners.join(" ")})`;
  if (learnersNext.length > 0) text += ` learners-next=(${learnersNext.join(" ")})`;
  return autoLeave ? `${text} auto-leave` : text;
}

/**
 * The configurations that the log holds, by the index of their entry. A configuration is in force
 * from the moment it is appended (thesis, section 4.1), so truncating the log brings the previous one
 * back.
 *
 * Invariant: ascending by index; the first item is the newest committed one (or the snapshot's), and
 * all others lie above the commit index.
 */
export class Configurations {
  private items: { readonly index: number; readonly configuration: Configuration }[];

  constructor(index: number, configuration: Configuration) {
    this.items = [{ index, configuration }];
  }

  private get last(): { readonly index: number; readonly configuration: Configuration } {
    return this.items[this.items.length - 1] as { index: number; configuration: Configuration };
  }

  get current(): Configuration {
    return this.last.configuration;
  }

  /** Index of the entry that brought the current one. */
  get index(): number {
    return this.last.index;
  }

  append(index: number, configuration: Configuration): void {
    this.items.push({ index, configuration });
  }

  truncate(from: number): void {
    while (this.items.length > 1 && this.last.index >= from) this.items.pop();
  }

  commit(index: number): void {
    while (this.items.length > 1 && (this.items[1]?.index ?? Number.POSITIVE_INFINITY) <= index) this.items.shift();
  }

  reset(index: number, configuration: Configuration): void {
    this.items = [{ index, configuration }];
  }

  /** Whether any configuration that may still come to be in force counts the replica as a voter. */
  mayVote(replica: ReplicaId): boolean {
    return this.items.some((item) => isVoter(item.configuration, replica));
  }
}
