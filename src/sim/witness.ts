import { Writer, crc32, latin1Decode, systemGroup, utf8Decode } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { decodeWatchChange, encodeWatchRequest } from "../machine/index.ts";
import type { WatchableMachine, Watcher } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
import { Chronicle } from "./check/index.ts";
import type { SeenChange, SeenEvent } from "./history.ts";
import { unpad } from "./workloads/index.ts";

const takeBytesMax = 1024 * 1024;

interface Change extends SeenChange {
  /** Who told it first. */
  readonly node: string;
  readonly checksum: number;
}

export interface WitnessOptions {
  /** Virtual time, to tell when each change happened. */
  readonly nowMs?: () => number;
  /** Told of each change at the moment at which the first replica has it. */
  readonly onChange?: (group: GroupId, change: SeenChange) => void;
  readonly violation: (text: string) => void;
}

/**
 * Writes down all that happens to the keyspaces, as the replicas' own machines tell it entry by
 * entry, before any network or retention comes between. What two replicas tell of a revision must be
 * the same bytes.
 */
export class Witness {
  private readonly groups = new Map<GroupId, Map<number, Change>>();
  private readonly watchers = new Map<string, Watcher>();
  private readonly options: WitnessOptions;

  constructor(options: WitnessOptions) {
    this.options = options;
  }

  /** A replica begins, or has a new machine since it was sent a snapshot. */
  began(node: string, replica: Replica): void {
    if (replica.group === systemGroup) return;
    const writer = new Writer();
    encodeWatchRequest(writer, {
      key: "\0",
      end: "\0",
      from: replica.machine.revision + 1,
      previous: false,
      noPut: false,
      noDelete: false,
    });
    this.watchers.set(
      `${node}/${replica.group}`,
      (replica.machine as WatchableMachine).watch(writer.take(), () => undefined),
    );
  }

  applied(node: string, replica: Replica): void {
    const name = `${node}/${replica.group}`;
    const watcher = this.watchers.get(name);
    if (watcher === undefined) return;
    for (;;) {
      const { ended, items, more } = watcher.take(takeBytesMax);
      for (const item of items) this.note(node, replica.group, item);
      if (ended !== undefined) {
        this.options.violation(`the watch within ${name} ended at revision ${watcher.progress}, though it was never behind`);
        this.watchers.delete(name);
      }
      if (!more || ended !== undefined) return;
    }
  }

  private note(node: string, group: GroupId, item: Uint8Array): void {
    const { events, revision } = decodeWatchChange(item);
    if (events.length === 0) return;
    const changes = this.groups.get(group) ?? new Map<number, Change>();
    this.groups.set(group, changes);
    const checksum = crc32(item);
    const known = changes.get(revision);
    if (known === undefined) {
      const seen = events.map(
        ({ entry, kind }): SeenEvent => ({ key: entry.key, value: kind === "put" ? unpad(textOf(entry.value)) : undefined }),
      );
      const change = { node, checksum, revision, events: seen, atMs: this.options.nowMs?.() ?? 0 };
      changes.set(revision, change);
      this.options.onChange?.(group, change);
    } else if (known.checksum !== checksum)
      this.options.violation(`revision ${revision} of group ${group} is not the same on ${node} and ${known.node}`);
  }

  /** The group of a keyspace, told by something that was written to it and nowhere else. */
  groupWith(isOf: (key: string, value: string | undefined) => boolean): GroupId | undefined {
    for (const [group, changes] of this.groups)
      for (const { events } of changes.values()) if (events.some(({ key, value }) => value !== undefined && isOf(key, value))) return group;
    return undefined;
  }

  /** Of a group that never was: nothing happened. */
  chronicle(group: GroupId | undefined): Chronicle {
    const changes = group === undefined ? undefined : this.groups.get(group);
    return new Chronicle([...(changes?.values() ?? [])].sort((a, b) => a.revision - b.revision));
  }
}

/** Values of the workload are ASCII; anything else is damage, and is shown as it is. */
function textOf(bytes: Uint8Array): string {
  return bytes.every((byte) => byte < 0x80) ? utf8Decode(bytes) : latin1Decode(bytes);
}
