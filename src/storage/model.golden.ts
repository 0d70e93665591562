import { Prng, concatBytes, equalBytes, groupId, replicaId } from "../base/index.ts";
import type { Entry, HardState } from "../raft/types.ts";
import { dumpWal } from "./dump.golden.ts";
import { StorageWorld, configuration, makeEntries } from "./harness.golden.ts";
import type { GroupLog, RecoveredLog, SnapshotFile } from "./types.ts";

/** What a replica's disk should hold after one of its writes. */
interface Version {
  readonly exists: boolean;
  readonly incarnation: number;
  readonly term: number;
  readonly vote: number;
  /** Terms of the entries from 1 on; below the snapshot they do not matter. */
  readonly terms: readonly number[];
  readonly snapshot: number;
}

interface ModelGroup {
  readonly group: number;
  incarnation: number;
  /** The version before any write, then one per write. */
  versions: Version[];
  acknowledged: number;
  commit: number;
  /** Newest snapshot saved, durable or perhaps so. */
  saved: number;
  snapshotsMaybe: Set<string>;
  /** Released by us: what is below need not be there. */
  released: number;
}

const absent: Version = { exists: false, incarnation: 0, term: 0, vote: 0, terms: [], snapshot: 0 };

/** Snapshot bytes that tell which index they stand for. */
export function snapshotBytes(index: number): Uint8Array {
  const bytes = new Uint8Array(500 + (index % 7) * 700);
  for (let i = 0; i < bytes.length; i++) bytes[i] = (index * 13 + i) & 0xff;
  return bytes;
}

/** What `readAll` shows, copied while it may be looked at. */
export async function readAllOf(file: SnapshotFile): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  await file.readAll((chunk) => void chunks.push(chunk.slice()));
  return concatBytes(chunks);
}

export function chunksOf(bytes: Uint8Array, size: number): () => Uint8Array | undefined {
  let at = 0;
  return () => {
    if (at >= bytes.length) return undefined;
    const chunk = bytes.subarray(at, at + size);
    at += size;
    return chunk;
  };
}

/**
 * Drives a storage with random calls and crashes, beside a model that knows what was acknowledged. After
 * each reopening every group must be at one of the versions from the last acknowledged one on: nothing
 * acknowledged is missing, nothing is half there.
 */
export class ModelRun {
  readonly world: StorageWorld;
  private readonly prng: Prng;
  private readonly groups: ModelGroup[] = [];
  readonly log: string[] = [];
  /** The disk before the last opening, for whoever looks into a failure (UNUM_DUMP=1). */
  private before = "";

  constructor(seed: number) {
    this.world = new StorageWorld(seed);
    this.prng = new Prng(seed).fork("model");
    for (let group = 1; group <= 3; group++) {
      this.groups.push({
        group,
        incarnation: 0,
        versions: [absent],
        acknowledged: 0,
        commit: 0,
        saved: 0,
        snapshotsMaybe: new Set(),
        released: 0,
      });
    }
  }

  async run(steps: number): Promise<void> {
    await this.world.open();
    for (let i = 0; i < steps; i++) await this.step();
    await this.crash("power");
  }

  private async step(): Promise<void> {
    const { prng, world } = this;
    const model = prng.pick(this.groups);
    const draw = prng.below(100);
    const version = this.newest(model);
    if (!version.exists) this.create(model);
    else if (draw < 50) this.append(model, version);
    else if (draw < 58) this.vote(model, version);
    else if (draw < 64) await this.snapshot(model);
    else if (draw < 67) await this.install(model, version);
    else if (draw < 68) this.destroy(model);
    else if (draw < 90) await world.clock.pass(prng.pick([0, 0.2, 0.5, 2, 30]));
    else if (draw < 94) await this.crash(prng.chance(1, 3) ? "process" : "power");
    else if (draw < 95) await this.restart();
    if (prng.chance(2, 3)) world.storage.flush();
  }

  private newest(model: ModelGroup): Version {
    return model.versions[model.versions.length - 1] as Version;
  }

  /** What is acknowledged of the same replica that `version` belongs to. */
  private durable(model: ModelGroup, version: Version): Version {
    const acknowledged = model.versions[model.acknowledged] as Version;
    return acknowledged.incarnation === version.incarnation ? acknowledged : absent;
  }

  private handle(model: ModelGroup): GroupLog {
    return this.world.log(model.group);
  }

  private record(model: ModelGroup, version: Version): () => void {
    model.versions.push(version);
    const number = model.versions.length - 1;
    const { versions } = model;
    return () => {
      if (model.versions === versions) model.acknowledged = Math.max(model.acknowledged, number);
    };
  }

  private create(model: ModelGroup): void {
    model.incarnation++;
    model.commit = 0;
    model.saved = 0;
    model.released = 0;
    this.log.push(`create ${model.group} incarnation ${model.incarnation}`);
    this.world.create(model.group, model.incarnation, model.incarnation);
    const done = this.record(model, { exists: true, incarnation: model.incarnation, term: 0, vote: 0, terms: [], snapshot: 0 });
    this.handle(model).append({ hardState: undefined, entries: [] }, done);
  }

  private destroy(model: ModelGroup): void {
    this.log.push(`destroy ${model.group}`);
    this.world.storage.destroy(groupId(model.group));
    model.versions.push(absent);
  }

  private append(model: ModelGroup, version: Version): void {
    const { prng } = this;
    const last = Math.max(version.terms.length, version.snapshot);
    const floor = Math.max(model.commit, version.snapshot);
    const isCut = prng.chance(1, 5) && last > floor;
    const from = isCut ? prng.between(floor + 1, last) : last + 1;
    const term = isCut || prng.chance(1, 10) ? version.term + 1 : Math.max(1, version.term);
    const count = prng.between(1, 4);
    const entries: Entry[] = makeEntries(model.group, from, from + count - 1, term, prng.between(10, 500));
    const acknowledgedLast = this.durable(model, version).terms.length;
    if (!isCut && prng.chance(1, 2)) {
      model.commit = Math.max(model.commit, Math.min(acknowledgedLast, last));
      this.handle(model).committed(model.commit);
    }
    const terms = [...version.terms.slice(0, from - 1)];
    while (terms.length < from - 1) terms.push(0);
    for (let i = 0; i < count; i++) terms.push(term);
    const hardState: HardState | undefined =
      term !== version.term || prng.chance(1, 3)
        ? { term, vote: replicaId(term === version.term ? version.vote : 0), commit: model.commit }
        : undefined;
    const next = { ...version, term, vote: hardState === undefined ? version.vote : hardState.vote, terms };
    this.log.push(`append ${model.group} ${from}..${from + count - 1} term ${term} commit ${model.commit}`);
    this.handle(model).append({ hardState, entries }, this.record(model, next));
  }

  private vote(model: ModelGroup, version: Version): void {
    const term = version.term + 1;
    const vote = this.prng.between(1, 3);
    this.log.push(`vote ${model.group} term ${term} for ${vote}`);
    this.handle(model).append(
      { hardState: { term, vote: replicaId(vote), commit: model.commit }, entries: [] },
      this.record(model, { ...version, term, vote }),
    );
  }

  private async snapshot(model: ModelGroup): Promise<void> {
    const { prng, world } = this;
    const acknowledged = this.durable(model, this.newest(model));
    const index = Math.min(model.commit, acknowledged.terms.length);
    if (index <= model.saved) return;
    const term = acknowledged.terms[index - 1] ?? 0;
    const meta = { index, term, configuration: configuration(1, 2, 3) };
    model.snapshotsMaybe.add(`${this.newest(model).incarnation}/${index}`);
    const saving = this.handle(model).saveSnapshot(meta, chunksOf(snapshotBytes(index), 700));
    saving.catch(() => undefined);
    if (prng.chance(1, 4)) {
      await world.clock.step(prng.between(0, 30));
      this.log.push(`crash while saving ${model.group} ${index}`);
      await this.crash("power");
      return;
    }
    await world.clock.until(saving);
    model.saved = index;
    this.log.push(`saved ${model.group} ${index}`);
    if (prng.chance(3, 4)) {
      const keep = prng.below(4);
      model.released = Math.max(model.released, index - keep);
      this.handle(model).release(Math.max(0, index - keep));
    }
  }

  private async install(model: ModelGroup, version: Version): Promise<void> {
    const { prng, world } = this;
    const log = this.handle(model);
    const last = Math.max(version.terms.length, version.snapshot);
    const index = last + prng.between(1, 5);
    const term = Math.max(1, version.term);
    const meta = { index, term, configuration: configuration(1, 2, 3) };
    const bytes = snapshotBytes(index);
    const transfer = async (): Promise<SnapshotFile> => {
      const receiver = await log.receiveSnapshot(meta, bytes.length);
      for (let at = receiver.received; at < bytes.length; ) at = await receiver.write(at, bytes.subarray(at, at + 600));
      return await receiver.finish();
    };
    const arriving = transfer();
    arriving.catch(() => undefined);
    if (prng.chance(1, 4)) {
      await world.clock.step(prng.between(0, 40));
      this.log.push(`crash while receiving ${model.group} ${index}`);
      await this.crash("power");
      return;
    }
    const file = await world.clock.until(arriving);
    const terms = new Array<number>(index).fill(0);
    const done = this.record(model, { ...version, term, terms, snapshot: index });
    this.log.push(`install ${model.group} ${index}`);
    log.install(file, { term, vote: replicaId(term === version.term ? version.vote : 0), commit: index }, false, done);
    model.versions[model.versions.length - 1] = { ...this.newest(model), vote: term === version.term ? version.vote : 0 };
    model.commit = index;
    model.saved = index;
    model.snapshotsMaybe.add(`${this.newest(model).incarnation}/${index}`);
    world.storage.flush();
    // The replica waits for an install before it writes on.
    await world.clock.pass(50);
  }

  private async restart(): Promise<void> {
    this.log.push("restart");
    await this.world.close();
    for (const model of this.groups) model.acknowledged = model.versions.length - 1;
    await this.world.open();
    await this.check();
  }

  private async crash(kind: "process" | "power"): Promise<void> {
    const { prng, world } = this;
    this.log.push(`crash ${kind}`);
    world.crash(kind);
    while (prng.chance(1, 4)) {
      const opening = world.beginOpen();
      opening.catch(() => undefined);
      await world.clock.step(prng.below(40));
      this.log.push("crash while opening");
      world.crash(prng.chance(1, 2) ? "power" : "process");
    }
    if (process.env["UNUM_DUMP"] === "1")
      this.before = `${dumpWal(world.disk)}\n${world.disk
        .files()
        .map(({ path, size }) => `${path} ${size}`)
        .join("\n")}`;
    await world.open();
    await this.check();
  }

  private async check(): Promise<void> {
    if (this.world.storage.discarded.length > 0) this.fail(`discarded: ${JSON.stringify(this.world.storage.discarded)}`);
    for (const model of this.groups) await this.checkGroup(model);
  }

  private async checkGroup(model: ModelGroup): Promise<void> {
    const log = this.world.storage.groups.get(groupId(model.group));
    const candidates = model.versions.map((version, number) => ({ version, number })).slice(model.acknowledged);
    const matches = candidates.filter(({ version }) => (log === undefined ? !version.exists : this.matches(version, log.recovered)));
    const found = matches[matches.length - 1];
    if (found === undefined) {
      const expected = candidates.map(({ version }) => describeVersion(version)).join("\n  or ");
      this.fail(
        `group ${model.group} is ${log === undefined ? "absent" : describeRecovered(log.recovered)}\nexpected ${expected}\nreport: ${this.world.storage.report.join("; ")}`,
      );
    }
    const adopted = found.version;
    model.versions = [adopted];
    model.acknowledged = 0;
    if (log === undefined) return;
    model.commit = Math.max(Math.min(model.commit, adopted.terms.length), log.recovered.snapshot.index);
    model.saved = log.recovered.snapshot.index;
    await this.checkContents(model, adopted, log);
  }

  private matches(version: Version, found: RecoveredLog): boolean {
    if (!version.exists || found.incarnation !== version.incarnation || found.suspect) return false;
    const last = Math.max(version.terms.length, version.snapshot);
    if (found.hardState.term !== version.term || found.hardState.vote !== version.vote || found.lastIndex !== last) return false;
    if (found.snapshot.index < version.snapshot || found.firstIndex > found.snapshot.index + 1) return false;
    for (let run = 0; run < found.terms.length; run++) {
      const { from, term } = found.terms[run] as { from: number; term: number };
      const to = found.terms[run + 1]?.from ?? found.lastIndex + 1;
      for (let at = Math.max(from, version.snapshot + 1); at < to; at++) if (version.terms[at - 1] !== term) return false;
    }
    return true;
  }

  private async checkContents(model: ModelGroup, version: Version, log: GroupLog): Promise<void> {
    const { recovered } = log;
    const { clock } = this.world;
    const from = recovered.firstIndex;
    if (from <= recovered.lastIndex) {
      const read = await clock.until(log.read(from, recovered.lastIndex, Number.MAX_SAFE_INTEGER));
      if (read.length !== recovered.lastIndex - from + 1)
        this.fail(`group ${model.group}: ${read.length} entries read of ${from}..${recovered.lastIndex}`);
      for (const entry of [...read, ...recovered.entries]) this.checkEntry(model, version, entry);
      if (recovered.entries[recovered.entries.length - 1]?.index !== recovered.lastIndex)
        this.fail(`group ${model.group}: the newest entry is missing`);
    }
    const { snapshot } = recovered;
    if (snapshot.index === 0) return;
    if (!model.snapshotsMaybe.has(`${version.incarnation}/${snapshot.index}`))
      this.fail(`group ${model.group}: snapshot ${snapshot.index} was never made`);
    const file = log.snapshot;
    const expected = snapshotBytes(snapshot.index);
    if (file === undefined || file.meta.index !== snapshot.index || file.bytes !== expected.length)
      this.fail(`group ${model.group}: no file of snapshot ${snapshot.index}`);
    for (const bytes of [await clock.until(file.read(0, file.bytes)), await clock.until(readAllOf(file))])
      if (!equalBytes(bytes, expected)) this.fail(`group ${model.group}: snapshot ${snapshot.index} reads wrong`);
  }

  private checkEntry(model: ModelGroup, version: Version, entry: Entry): void {
    const { index, term, data } = entry;
    if (index > version.snapshot && term !== version.terms[index - 1]) this.fail(`group ${model.group}: entry ${index} has term ${term}`);
    const expected = makeEntries(model.group, index, index, term, data.length)[0];
    if (!data.every((byte, i) => byte === expected?.data[i])) this.fail(`group ${model.group}: entry ${index} reads wrong`);
  }

  private fail(message: string): never {
    throw new Error(`${message}\n${process.env["UNUM_DUMP"] === "1" ? this.before : ""}\nsteps:\n${this.log.slice(-60).join("\n")}`);
  }
}

function describeVersion(version: Version): string {
  return version.exists
    ? `term ${version.term} vote ${version.vote} snapshot ${version.snapshot} terms ${version.terms.join(",")}`
    : "absent";
}

function describeRecovered(found: RecoveredLog): string {
  const terms = found.terms.map(({ from, term }) => `${from}:${term}`).join(",");
  return `incarnation ${found.incarnation} term ${found.hardState.term} vote ${found.hardState.vote} snapshot ${found.snapshot.index} log ${found.firstIndex}..${found.lastIndex} terms ${terms}${found.suspect ? " suspect" : ""}`;
}
