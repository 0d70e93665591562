import { emptyBytes, limits, OrderedMap } from "../../base/index.ts";
import { refusal, type Refusal } from "../refusal.ts";
import { Hash, type Mixer } from "../hash.ts";
import { History } from "./history.ts";
import { Records } from "./records.ts";

/** What an entry costs beside its key and value, in `maxBytes` and in the history. A protocol constant. */
const entryOverheadBytes = 64;
const eventOverheadBytes = 16;
/** Old events swept for each new one, so that sweeping keeps up, and at most by one command. */
const sweepPerEvent = 2;
const sweepMax = 1024;

/** Which keys hang on which lease. The entries say it themselves; this is the way back. */
export interface LeaseKeys {
  has(low: number, high: number): boolean;
  attach(low: number, high: number, key: string): void;
  detach(low: number, high: number, key: string): void;
}

/** Operator settings, as machine state because they change replies. */
export interface KvSettings {
  maxBytes: number;
  historyMs: number;
  historyBytes: number;
}

export const defaultSettings: KvSettings = {
  maxBytes: limits.keyspaceBytesMax,
  historyMs: limits.historyMs,
  historyBytes: limits.historyBytesMax,
};

/**
 * The ordered keyspace with its history, as etcd has it. The first write makes revision 2. Writes
 * happen between `begin` and `commit`, which make them one revision.
 *
 * A key is in `live` (its newest version) or in `dead` (its tombstone, while the history still
 * needs it), never in both. Older versions hang behind the newest one through `previous`; that link
 * is followed only from a version whose event is in the history.
 */
export class KvState {
  readonly records: Records = new Records();
  readonly history: History = new History(this.records);
  live: OrderedMap<number> = new OrderedMap<number>();
  dead: OrderedMap<number> = new OrderedMap<number>();
  revision = 1;
  /** Of the live entries, overhead included: what `maxBytes` bounds. */
  liveBytes = 0;
  private liveKeyBytes = 0;
  readonly settings: KvSettings;
  /** Of the live entries. */
  readonly hash: Hash = new Hash();
  private readonly leases: LeaseKeys;
  private timestamp = 0;
  /** The end of the history when the last revision was made. */
  private committedEnd = 0;

  constructor(leases: LeaseKeys, settings: KvSettings = defaultSettings) {
    this.leases = leases;
    this.settings = { ...settings };
  }

  get memoryBytes(): number {
    const keys = this.live.size + this.dead.size;
    // A key is a string of the JavaScript heap and a place in a tree, about 64 bytes without the key's own.
    return this.records.memoryBytes + keys * 64 + this.liveKeyBytes + (this.history.end - this.history.start) * 4;
  }

  /** The revision that writes make now. */
  get writeRevision(): number {
    return this.revision + 1;
  }

  /** Before each command: the history ages with the log's own time. */
  begin(timestamp: number): void {
    const { history, settings } = this;
    if (timestamp !== this.timestamp) {
      this.timestamp = timestamp;
      history.mark(timestamp, this.revision, settings.historyMs, settings.historyBytes);
      history.trim(timestamp, settings.historyMs, settings.historyBytes);
    }
  }

  /** The writes since `begin` become one revision; without writes nothing changes. */
  commit(): void {
    const { history, settings } = this;
    const added = history.end - this.committedEnd;
    if (added === 0) return;
    this.committedEnd = history.end;
    this.revision++;
    this.sweep(Math.min(added * sweepPerEvent, sweepMax));
    const last = history.marks[history.marks.length - 1];
    if (history.bytes - (last?.bytes ?? 0) < settings.historyBytes / 64) return;
    history.mark(this.timestamp, this.revision, settings.historyMs, settings.historyBytes);
    history.trim(this.timestamp, settings.historyMs, settings.historyBytes);
  }

  entryBytes(key: string, valueLength: number): number {
    return key.length + valueLength + entryOverheadBytes;
  }

  /** Writes a version of `key`. What may be refused was checked before. */
  write(key: string, value: Uint8Array, leaseLow: number, leaseHigh: number): number {
    const { records, live } = this;
    const old = live.get(key);
    const revision = this.writeRevision;
    if (old === undefined) {
      const tombstone = this.dead.size === 0 ? undefined : this.dead.delete(key);
      const handle = records.create(key, revision, revision, 1, leaseLow, leaseHigh, value, tombstone ?? -1);
      live.setFound(key, handle);
      this.written(key, handle, eventOverheadBytes);
      return handle;
    }
    // The string that the tree holds, so that each key is in memory once.
    const held = records.key(old);
    const handle = records.create(held, records.createRevision(old), revision, records.version(old) + 1, leaseLow, leaseHigh, value, old);
    live.setFound(held, handle);
    this.unwritten(held, old, leaseLow, leaseHigh);
    this.written(held, handle, eventOverheadBytes + entryOverheadBytes + records.valueLength(old));
    return handle;
  }

  /** Deletes a live version. */
  remove(handle: number): void {
    const { records } = this;
    const key = records.key(handle);
    const tombstone = records.create(key, 0, this.writeRevision, 0, 0, 0, emptyBytes, handle);
    this.live.delete(key);
    this.dead.set(key, tombstone);
    this.unwritten(key, handle, 0, 0);
    this.history.push(tombstone, eventOverheadBytes + 2 * entryOverheadBytes + key.length + records.valueLength(handle));
  }

  private written(key: string, handle: number, historyBytes: number): void {
    this.nowLive(key, handle);
    this.history.push(handle, historyBytes);
  }

  private nowLive(key: string, handle: number): void {
    const { records } = this;
    this.hash.add(records.hashLow(handle), records.hashHigh(handle));
    this.liveKeyBytes += key.length;
    this.liveBytes += this.entryBytes(key, records.valueLength(handle));
    const low = records.leaseLow(handle);
    const high = records.leaseHigh(handle);
    if (low !== 0 || high !== 0) this.leases.attach(low, high, key);
  }

  /** `handle` is no longer live; the lease given is the successor's. */
  private unwritten(key: string, handle: number, nextLow: number, nextHigh: number): void {
    const { records } = this;
    this.hash.subtract(records.hashLow(handle), records.hashHigh(handle));
    this.liveKeyBytes -= key.length;
    this.liveBytes -= this.entryBytes(key, records.valueLength(handle));
    const low = records.leaseLow(handle);
    const high = records.leaseHigh(handle);
    if ((low !== 0 || high !== 0) && (low !== nextLow || high !== nextHigh)) this.leases.detach(low, high, key);
  }

  hasLease(low: number, high: number): boolean {
    return this.leases.has(low, high);
  }

  /** The version of a key at `revision`, which is not compacted, from its newest version or tombstone; -1: none. */
  visible(newest: number, revision: number): number {
    const { records, history } = this;
    let handle = newest;
    while (handle >= 0) {
      const mod = records.modRevision(handle);
      if (mod <= revision) return records.isTombstone(handle) ? -1 : handle;
      if (mod < history.compactRevision) return -1;
      handle = records.previous(handle);
    }
    return -1;
  }

  /** Whether the state as of `revision` can be read; 0 is the newest. */
  checkReadable(revision: number): Refusal | undefined {
    if (revision === 0) return undefined;
    if (revision > this.revision) {
      return refusal("FUTURE_REVISION", `revision ${revision} does not exist yet; the newest is ${this.revision}`, {
        revision: this.revision,
      });
    }
    const { compactRevision } = this.history;
    if (revision >= compactRevision) return undefined;
    return refusal("COMPACTED", `revision ${revision} is compacted; the oldest kept is ${compactRevision}`, { compactRevision });
  }

  compact(revision: number): Refusal | undefined {
    const { history } = this;
    if (revision > this.revision) return this.checkReadable(revision);
    if (revision <= history.compactRevision) {
      return refusal("COMPACTED", `revision ${revision} is compacted already, up to ${history.compactRevision}`, {
        compactRevision: history.compactRevision,
      });
    }
    history.compactRevision = revision;
    return undefined;
  }

  /** Frees what only events below the compact revision held. True: there is more. */
  sweep(events: number): boolean {
    const { history, records } = this;
    for (let budget = events; budget > 0; budget--) {
      if (history.start === history.end || history.start >= history.sweepEnd) return false;
      const handle = history.at(history.start);
      if (records.modRevision(handle) >= history.compactRevision) return false;
      history.shift();
      const previous = records.previous(handle);
      if (previous >= 0) records.free(previous);
      if (!records.isTombstone(handle)) continue;
      const key = records.key(handle);
      if (this.dead.get(key) !== handle) continue;
      this.dead.delete(key);
      records.free(handle);
    }
    return history.start < history.end;
  }

  /** The hash of the entries as of a readable revision, 0 the newest: equal on all replicas that have it. */
  hashAt(revision: number): string {
    if (revision === 0 || revision === this.revision) return this.hash.text();
    const hash = new Hash();
    for (const map of [this.live, this.dead]) {
      for (const cursor = map.cursor(""); cursor.value !== undefined; cursor.next()) {
        const handle = this.visible(cursor.value, revision);
        if (handle >= 0) hash.add(this.records.hashLow(handle), this.records.hashHigh(handle));
      }
    }
    return hash.text();
  }

  /** Mixes everything replicated that is no entry. */
  mixHash(mixer: Mixer): void {
    const { history, settings } = this;
    for (const number of [this.revision, history.compactRevision, history.bytes, history.marks.length, this.liveBytes])
      mixer.number(number);
    for (const number of [settings.maxBytes, settings.historyMs, settings.historyBytes, this.timestamp]) mixer.number(number);
    for (const mark of history.marks) for (const number of [mark.timestamp, mark.revision, mark.bytes]) mixer.number(number);
    mixer.word(this.hash.low);
    mixer.word(this.hash.high);
  }

  /** The time of the last command, which snapshots carry on. */
  get lastTimestamp(): number {
    return this.timestamp;
  }

  /** A version from a snapshot: of the base, or an event of the history in its order. Its costs are in the snapshot's totals. */
  restore(
    key: string,
    create: number,
    mod: number,
    version: number,
    low: number,
    high: number,
    value: Uint8Array,
    isEvent: boolean,
  ): number {
    const { records, live, dead, history } = this;
    const old = live.isBeyond(key) ? undefined : live.get(key);
    const tombstone = old === undefined && dead.size > 0 ? dead.get(key) : undefined;
    const previous = old ?? tombstone ?? -1;
    const held = previous < 0 ? key : records.key(previous);
    const handle = records.create(held, create, mod, version, low, high, value, isEvent ? previous : -1);
    if (old !== undefined) this.unwritten(held, old, version === 0 ? 0 : low, version === 0 ? 0 : high);
    if (version === 0) {
      live.delete(held);
      dead.set(held, handle);
    } else {
      if (tombstone !== undefined) dead.delete(held);
      live.setFound(held, handle);
      this.nowLive(held, handle);
    }
    if (isEvent) history.push(handle, 0);
    this.committedEnd = history.end;
    return handle;
  }

  restoreTime(timestamp: number): void {
    this.timestamp = timestamp;
  }
}
