import { groupId, isUnumError, replicaId } from "../base/index.ts";
import type { CrashFate, CrashKind } from "../sim/disk.ts";
import type { GoldenCommand } from "../../tools/golden.ts";
import type { Entry, HardState } from "../raft/types.ts";
import { dumpWal } from "./dump.golden.ts";
import { StorageWorld, checksum, configuration, makeEntries, smallSettings } from "./harness.golden.ts";
import { lockDataDirectory, readIdentity, writeIdentity } from "./identity.ts";
import { chunksOf, snapshotBytes } from "./model.golden.ts";
import { segmentName, walDirectory } from "./names.ts";
import { scanSegment } from "./scan.ts";
import type { ScannedBatch } from "./scan.ts";
import type { GroupLog, SnapshotFile, SnapshotReceiver } from "./types.ts";

/** "3" or "1-4". */
function range(text: string): { readonly from: number; readonly to: number } {
  const [from = "", to = from] = text.split("-");
  return { from: Number(from), to: Number(to) };
}

/** Always the same, so that a script's numbers do not hang on how many operations there were before. */
const latency = { logMs: [0.2, 0.2], bulkMs: [0.1, 0.1] } as const;

/**
 * The verbs of storage's golden scripts. `g1` names group 1. Writes get letters; a letter in
 * "acknowledged" means that its `done` was called.
 */
export class ScriptRunner {
  private world = new StorageWorld(1, smallSettings, latency);
  private names: string[] = [];
  private acknowledged: string[] = [];
  private next = "a";
  private receiver: SnapshotReceiver | undefined;
  private received: SnapshotFile | undefined;

  async run(command: GoldenCommand): Promise<string> {
    try {
      return await this.dispatch(command);
    } catch (error) {
      if (isUnumError(error)) return `${error.code}: ${error.message}`;
      throw error;
    }
  }

  private dispatch(command: GoldenCommand): Promise<string> | string {
    switch (command.verb) {
      case "disk":
        return this.newDisk(command);
      case "open":
        return this.open(command);
      case "close":
        return this.close();
      case "crash":
        return this.crash(command);
      case "create":
        return this.create(command);
      case "destroy":
        return this.destroy(command);
      case "write":
        return this.write(command);
      case "pass":
        return this.pass(command.number("ms", 5));
      case "step":
        return this.step(command);
      case "committed":
        this.log(command).committed(command.number("index", 0));
        return "";
      case "release":
        this.log(command).release(command.number("index", 0));
        return "";
      case "trust":
        this.log(command).trust();
        return this.flushed();
      case "read":
        return this.read(command);
      case "state":
        return this.state();
      case "wal":
        return dumpWal(this.world.disk);
      case "files":
        return this.world.disk
          .files()
          .map(({ path, size }) => `${path} ${size}`)
          .join("\n");
      default:
        return this.dispatchRare(command);
    }
  }

  private dispatchRare(command: GoldenCommand): Promise<string> | string {
    switch (command.verb) {
      case "flip":
        return this.flip(command);
      case "cut":
        this.world.disk.cut(this.path(command), command.number("at", 0));
        return "";
      case "lose":
        this.world.disk.lose(command.word(0, "a path"));
        return "";
      case "save":
        return this.save(command);
      case "receive":
        return this.receive(command);
      case "finish":
        return this.finish();
      case "install":
        return this.install(command);
      case "snapshot":
        return this.snapshot(command);
      case "capacity":
        this.world.disk.capacityBytes = command.has("free")
          ? this.world.disk.usedBytes() + command.number("free", 0)
          : Number.MAX_SAFE_INTEGER;
        return "";
      case "fail-sync":
        this.world.disk.failNext("sync");
        return "";
      case "identity":
        return this.identity(command);
      case "lock":
        return this.lock();
      case "age":
        return this.age(command);
      default:
        throw new Error(`no verb ${command.verb}`);
    }
  }

  private newDisk(command: GoldenCommand): string {
    const settings = { ...smallSettings };
    for (const [name, [value]] of command.options) if (name in settings) Object.assign(settings, { [name]: Number(value) });
    this.world = new StorageWorld(command.number("seed", 1), settings, latency);
    return "";
  }

  private async open(command: GoldenCommand): Promise<string> {
    const steps = command.number("crash-after");
    if (steps !== undefined) {
      const opening = this.world.beginOpen();
      opening.catch(() => undefined);
      await this.world.clock.step(steps);
      return this.crash(command);
    }
    const storage = await this.world.open();
    // The spare segment is ready before the script goes on.
    await this.world.clock.pass(5);
    const report = storage.report.map((line) => `- ${line}`);
    return [...report, ...this.stateLines()].join("\n");
  }

  private async close(): Promise<string> {
    await this.world.close();
    return this.outcome();
  }

  private crash(command: GoldenCommand): string {
    this.world.crash((command.text("kind") ?? "power") as CrashKind, (command.text("fate") ?? "lose") as CrashFate);
    this.receiver = undefined;
    this.received = undefined;
    return this.outcome();
  }

  private group(command: GoldenCommand): number {
    const word = command.words.find((text) => /^g\d+$/.test(text));
    if (word === undefined) throw new Error(`${command.verb} needs a group, as g1`);
    return Number(word.slice(1));
  }

  private log(command: GoldenCommand): GroupLog {
    return this.world.log(this.group(command));
  }

  private async create(command: GoldenCommand): Promise<string> {
    this.world.create(this.group(command), command.number("incarnation", 1), command.number("replica", 1));
    return await this.flushed();
  }

  private async destroy(command: GoldenCommand): Promise<string> {
    this.world.storage.destroy(groupId(this.group(command)));
    return await this.flushed();
  }

  private async write(command: GoldenCommand): Promise<string> {
    const group = this.group(command);
    const entries: Entry[] = [];
    const term = command.number("term", 1);
    for (const text of command.list("entries")) {
      const { from, to } = range(text);
      entries.push(...makeEntries(group, from, to, term, command.number("size", 40)));
    }
    const vote = command.number("vote");
    const commit = command.number("commit");
    const hasState = vote !== undefined || commit !== undefined || command.has("state");
    const hardState: HardState | undefined = hasState ? { term, vote: replicaId(vote ?? 0), commit: commit ?? 0 } : undefined;
    const name = this.next;
    this.next = String.fromCharCode(name.charCodeAt(0) + 1);
    this.names.push(name);
    this.log(command).append({ hardState, entries }, () => this.acknowledged.push(name));
    if (command.has("later")) return `${name} queued`;
    return await this.flushed(command.number("ms", 5));
  }

  private async flushed(ms = 5): Promise<string> {
    this.world.storage.flush();
    return await this.pass(ms);
  }

  private async pass(ms: number): Promise<string> {
    await this.world.clock.pass(ms);
    return this.outcome();
  }

  private async step(command: GoldenCommand): Promise<string> {
    await this.world.clock.step(command.number("count", 1));
    return this.outcome();
  }

  private outcome(): string {
    const lines: string[] = [];
    if (this.acknowledged.length > 0) lines.push(`acknowledged ${this.acknowledged.join(" ")}`);
    const waiting = this.names.filter((name) => !this.acknowledged.includes(name));
    if (waiting.length > 0) lines.push(`${this.world.isOpen ? "waiting" : "never acknowledged"} ${waiting.join(" ")}`);
    this.names = this.world.isOpen ? waiting : [];
    this.acknowledged = [];
    if (this.world.isOpen && this.world.storage.full) lines.push("full");
    return lines.join("\n");
  }

  private async read(command: GoldenCommand): Promise<string> {
    const { from, to } = range(command.text("entries") ?? "1");
    const entries = await this.world.clock.until(this.log(command).read(from, to, command.number("bytes", 1_000_000)));
    return entries.map(({ index, term, data }) => `${index}:${term} ${data.length} bytes`).join("\n");
  }

  private state(): string {
    const { walSegments } = this.world.storage.stats();
    return [...this.stateLines(), `${walSegments} segments`].join("\n");
  }

  private stateLines(): string[] {
    const lines = this.world.groups().map((group) => {
      const { recovered } = this.world.log(group);
      const { hardState: hs, snapshot } = recovered;
      const terms = recovered.terms.map(({ from, term }) => `${from}:${term}`).join(" ");
      const log =
        recovered.lastIndex < recovered.firstIndex
          ? `log empty from ${recovered.firstIndex}`
          : `log ${recovered.firstIndex}-${recovered.lastIndex}, terms ${terms}`;
      const owner = `g${group} replica ${recovered.replica} incarnation ${recovered.incarnation}`;
      return `${owner}: term ${hs.term} vote ${hs.vote} commit ${hs.commit}, snapshot ${snapshot.index}, ${log}${recovered.suspect ? ", suspect" : ""}`;
    });
    return [
      ...lines,
      ...this.world.storage.discarded.map(
        ({ group, replica, incarnation }) => `g${group} replica ${replica} incarnation ${incarnation}: discarded`,
      ),
    ];
  }

  private path(command: GoldenCommand): string {
    const segment = command.number("segment");
    return segment === undefined ? command.word(0, "a path or segment=") : `${walDirectory}/${segmentName(segment)}`;
  }

  /** `flip batch=5 [record=1] [at=header|payload|N]`: one bit, at a place that batches name. */
  private flip(command: GoldenCommand): string {
    const { disk } = this.world;
    const wanted = command.number("batch");
    if (wanted === undefined) {
      const path = this.path(command);
      disk.corrupt(path, command.number("at", 0), command.number("bit", 0));
      return "";
    }
    for (const { path } of disk.files()) {
      if (!path.startsWith(`${walDirectory}/`)) continue;
      const segment = Number.parseInt(path.slice(4, 20), 16);
      const batch = scanSegment(disk.bytesOf(path), segment, path, checksum).batches.find(({ sequence }) => sequence === wanted);
      if (batch === undefined) continue;
      const offset = placeIn(batch, command);
      if (offset === undefined) return `batch ${wanted} has ${batch.records.length} records`;
      disk.corrupt(path, offset, command.number("bit", 0));
      return `${path} at ${offset}`;
    }
    return `no batch ${wanted}`;
  }

  private async save(command: GoldenCommand): Promise<string> {
    const index = command.number("index", 1);
    const meta = { index, term: command.number("term", 1), configuration: configuration(1, 2, 3) };
    const saving = this.log(command).saveSnapshot(meta, chunksOf(snapshotBytes(index), 700));
    const steps = command.number("crash-after");
    if (steps !== undefined) {
      saving.catch(() => undefined);
      await this.world.clock.step(steps);
      return this.crash(command);
    }
    const file = await this.world.clock.until(saving);
    return `saved ${file.meta.index}, ${file.bytes} bytes`;
  }

  /** `receive g1 index=9 [until=BYTES]`: takes chunks of 600 bytes from where it stands. */
  private async receive(command: GoldenCommand): Promise<string> {
    const index = command.number("index", 1);
    const bytes = snapshotBytes(index);
    const { clock } = this.world;
    const meta = { index, term: command.number("term", 1), configuration: configuration(1, 2, 3) };
    this.receiver = await clock.until(this.log(command).receiveSnapshot(meta, bytes.length));
    const began = this.receiver.received;
    let at = began;
    const until = Math.min(bytes.length, command.number("until", bytes.length));
    while (at < until) at = await clock.until(this.receiver.write(at, bytes.subarray(at, at + 600)));
    return `from ${began} to ${at} of ${bytes.length}`;
  }

  private async finish(): Promise<string> {
    if (this.receiver === undefined) throw new Error("nothing is being received");
    this.received = await this.world.clock.until(this.receiver.finish());
    return `received ${this.received.meta.index}, ${this.received.bytes} bytes`;
  }

  private async install(command: GoldenCommand): Promise<string> {
    const file = this.received;
    if (file === undefined) throw new Error("nothing was received");
    const hardState = { term: command.number("term", 1), vote: replicaId(command.number("vote", 0)), commit: file.meta.index };
    const name = this.next;
    this.next = String.fromCharCode(name.charCodeAt(0) + 1);
    this.names.push(name);
    this.log(command).install(file, hardState, command.has("keep-log"), () => this.acknowledged.push(name));
    return await this.flushed();
  }

  private async snapshot(command: GoldenCommand): Promise<string> {
    const file = this.log(command).snapshot;
    if (file === undefined) return "none";
    const bytes = await this.world.clock.until(file.read(0, file.bytes));
    const expected = snapshotBytes(file.meta.index);
    const right = bytes.length === expected.length && bytes.every((byte, i) => byte === expected[i]);
    return `${file.meta.index}, ${file.bytes} bytes, ${right ? "reads right" : "READS WRONG"}`;
  }

  private async identity(command: GoldenCommand): Promise<string> {
    const { clock, disk } = this.world;
    const value = command.text("write");
    if (value !== undefined) {
      await clock.until(writeIdentity(disk, { node: value }));
      return "";
    }
    return JSON.stringify(await clock.until(readIdentity(disk))) ?? "none";
  }

  private async lock(): Promise<string> {
    await this.world.clock.until(lockDataDirectory(this.world.disk));
    return "locked";
  }

  /** Makes a file say that it is of a newer format, with everything else in order. */
  private age(command: GoldenCommand): string {
    const { disk } = this.world;
    const path = this.path(command);
    const bytes = disk.bytesOf(path);
    const view = new DataView(bytes.buffer);
    view.setUint32(8, command.number("version", 2), true);
    view.setUint32(12, checksum.crc32(bytes.subarray(0, 12)), true);
    disk.put(path, bytes);
    return "";
  }
}

function placeIn(batch: ScannedBatch, command: GoldenCommand): number | undefined {
  const record = command.number("record");
  const at = command.text("at") ?? "header";
  if (record === undefined) return batch.offset + (at === "header" ? 20 : Number(at));
  const found = batch.records[record];
  if (found === undefined) return undefined;
  return found.offset + (at === "header" ? 20 : at === "payload" ? 48 : Number(at));
}
