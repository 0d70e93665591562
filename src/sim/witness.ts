import { Writer, crc32, defaultGroup, latin1Decode, utf8Decode } from "../base/index.ts";
import { decodeWatchChange, encodeWatchRequest } from "../machine/index.ts";
import type { WatchableMachine, Watcher } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
import { Chronicle } from "./check/index.ts";
import type { SeenChange, SeenEvent } from "./history.ts";
import { unpad } from "./workload.ts";

const takeBytesMax = 1024 * 1024;

interface Change extends SeenChange {
  /** Who told it first. */
  readonly node: string;
  readonly checksum: number;
}

/**
 * Writes down all that happens to the default keyspace, as the replicas' own machines tell it entry by
 * entry, before any network or retention comes between. What two replicas tell of a revision must be
 * the same bytes.
 */
export class Witness {
  private readonly changes = new Map<number, Change>();
  private readonly watchers = new Map<string, Watcher>();
  private readonly violation: (text: string) => void;

  constructor(violation: (text: string) => void) {
    this.violation = violation;
  }

  /** A replica begins, or has a new machine since it was sent a snapshot. */
  began(node: string, replica: Replica): void {
    if (replica.group !== defaultGroup) return;
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
      node,
      (replica.machine as WatchableMachine).watch(writer.take(), () => undefined),
    );
  }

  applied(node: string, replica: Replica): void {
    const watcher = replica.group === defaultGroup ? this.watchers.get(node) : undefined;
    if (watcher === undefined) return;
    for (;;) {
      const { ended, items, more } = watcher.take(takeBytesMax);
      for (const item of items) this.note(node, item);
      if (ended !== undefined) {
        this.violation(`the watch within ${node} ended at revision ${watcher.progress}, though it was never behind`);
        this.watchers.delete(node);
      }
      if (!more || ended !== undefined) return;
    }
  }

  private note(node: string, item: Uint8Array): void {
    const { events, revision } = decodeWatchChange(item);
    if (events.length === 0) return;
    const checksum = crc32(item);
    const known = this.changes.get(revision);
    if (known === undefined) {
      const seen = events.map(
        ({ entry, kind }): SeenEvent => ({ key: entry.key, value: kind === "put" ? unpad(textOf(entry.value)) : undefined }),
      );
      this.changes.set(revision, { node, checksum, revision, events: seen });
    } else if (known.checksum !== checksum) this.violation(`revision ${revision} is not the same on ${node} and ${known.node}`);
  }

  chronicle(): Chronicle {
    return new Chronicle([...this.changes.values()].sort((a, b) => a.revision - b.revision));
  }
}

/** Values of the workload are ASCII; anything else is damage, and is shown as it is. */
function textOf(bytes: Uint8Array): string {
  return bytes.every((byte) => byte < 0x80) ? utf8Decode(bytes) : latin1Decode(bytes);
}
