import { text } from "#dist/api/index.js";
import type { Watch } from "#dist/api/index.js";
import { limits } from "#dist/base/index.js";
import {
  Chronicle,
  checkCopies,
  checkDurability,
  checkExpired,
  checkRegisters,
  checkRevisions,
  checkWatches,
  isWatched,
  toSeenEvent,
  unpad,
} from "#dist/sim/index.js";
import type { FinalRead, History, Load, SeenChange, Space } from "#dist/sim/index.js";
import type { ChaosCluster } from "./cluster.ts";

/** Watches that go on must reach the end within this. */
const watchMsMax = 30_000;
/** Beyond a lease's time: for the leader to notice that it is over and to commit that, on a machine that is busy. */
const leaseSlackMs = 3_000;

const sleep = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/**
 * Follows one keyspace from its beginning to its end with a watch of its own, through everything that happens.
 * What it misses or is told twice shows as a gap or as a difference to what the nodes have at the end.
 */
class Witness {
  readonly changes: SeenChange[] = [];
  private readonly watch: Watch<string>;

  constructor(watch: Watch<string>, space: Space, violation: (text: string) => void) {
    this.watch = watch;
    void this.follow(space, violation);
  }

  private async follow(space: Space, violation: (text: string) => void): Promise<void> {
    try {
      for await (const { events, revision } of this.watch) {
        const change: SeenChange = { revision, events: events.map(toSeenEvent), atMs: performance.now() };
        this.changes.push(change);
        space.guard.changed(change);
      }
    } catch (error) {
      violation(`the witness of ${space.name} lost its watch: ${String(error)}`);
    }
  }

  async close(): Promise<void> {
    await this.watch.close();
  }
}

/** Looks at all that was recorded of a round, when everything runs and is quiet again. */
export class Judge {
  undecided = 0;
  revisions = 0;
  private readonly cluster: ChaosCluster;
  private readonly load: Load;
  private readonly violation: (text: string) => void;
  private readonly witnesses = new Map<string, Witness>();

  constructor(cluster: ChaosCluster, load: Load, violation: (text: string) => void) {
    this.cluster = cluster;
    this.load = load;
    this.violation = violation;
  }

  /** Begins to watch, before anything is written. */
  async begin(): Promise<void> {
    for (const space of this.load.spaces.values()) {
      const handle = await this.cluster.connect(`witness-${space.name}`);
      const kv = (space.name === "default" ? handle.kv : handle.keyspace(space.name)).with(text);
      this.witnesses.set(space.name, new Witness(kv.watch<string>({ prefix: "" }, { from: 1 }), space, this.violation));
    }
  }

  async judge(): Promise<void> {
    for (const space of this.load.spaces.values()) {
      if (space.history.leases.length > 0) await this.letLeasesEnd(space);
      await this.judgeSpace(space);
    }
    for (const { space, workload } of this.load.parts)
      for (const found of workload.check?.(this.chronicle(space)) ?? []) this.violation(found);
    for (const witness of this.witnesses.values()) await witness.close();
  }

  private chronicle(space: Space): Chronicle {
    return new Chronicle(this.witnesses.get(space.name)?.changes ?? []);
  }

  private async judgeSpace(space: Space): Promise<void> {
    const { guard, history } = space;
    const finals = await this.readAll(space);
    const last = Math.max(...finals.map(({ revision }) => revision));
    await this.wait(() => last <= 1 || this.chronicle(space).lastRevision >= last);
    const chronicle = this.chronicle(space);
    this.revisions += chronicle.lastRevision;
    await this.wait(() => !this.isBehind(history, chronicle));
    const registers = checkRegisters(history);
    this.undecided += registers.undecided.length;
    const found = [
      ...registers.violations,
      ...checkRevisions(history, chronicle),
      ...checkDurability(history, chronicle, finals),
      ...checkWatches(history, chronicle),
      ...checkCopies(history, chronicle),
      ...guard.violations,
    ];
    for (const line of found) this.violation(space.name === "default" ? line : `keyspace ${space.name}: ${line}`);
  }

  /** Everything through each node, linearizably. */
  private async readAll(space: Space): Promise<FinalRead[]> {
    const finals: FinalRead[] = [];
    for (const { node, number } of this.cluster.members) {
      const handle = await this.cluster.connect(`final-${node.name}`, [this.cluster.wires.address(number)], true);
      const kv = (space.name === "default" ? handle.kv : handle.keyspace(space.name)).with(text);
      const page = await kv.range<string>({ prefix: "" }, { limit: 10_000, timeout: 30_000 });
      const entries = page.entries.map(({ createRevision, key, revision, value, version }) => ({
        key,
        revision,
        value: unpad(value),
        createRevision,
        version,
      }));
      finals.push({ node: node.name, revision: page.revision, entries });
      await handle.close();
    }
    return finals;
  }

  private isBehind(history: History, chronicle: Chronicle): boolean {
    return history.watches.some((watching) => {
      const { changes, ended, from, started } = watching;
      if (ended !== "open" || from > chronicle.lastRevision) return false;
      const last = chronicle.changes.findLast(({ events }) => events.some(({ key }) => isWatched(watching, key)));
      return started === undefined || (last !== undefined && last.revision >= started && (changes.at(-1)?.revision ?? 0) < last.revision);
    });
  }

  /** What does not come in time is found by the checkers, with more to say. */
  private async wait(done: () => boolean): Promise<void> {
    for (const end = performance.now() + watchMsMax; !done() && performance.now() < end; ) await sleep(20);
  }

  /** Waits until no lease is left that nobody keeps, or the last moment for it has passed under one leader. */
  private async letLeasesEnd(space: Space): Promise<void> {
    const { history } = space;
    const stoppedMs = performance.now();
    for (const leasing of history.leases) leasing.releasedMs = Math.min(leasing.releasedMs, stoppedMs);
    const longestMs = Math.max(...history.leases.map(({ ttlMs }) => ttlMs));
    let restartedMs = stoppedMs;
    for (let again = 0; again < 4; again++) {
      const before = await this.leadership(space);
      restartedMs = performance.now();
      await sleep(longestMs * (1 + 2 * limits.clockDriftRatio) + leaseSlackMs + 200);
      // A change of leader in between gives every lease its time again.
      if ((await this.leadership(space)) === before) break;
      if (again === 3) return;
    }
    const chronicle = this.chronicle(space);
    const isThere = (key: string, id: string): boolean => {
      const write = chronicle.at(key, chronicle.lastRevision);
      return write?.value !== undefined && space.guard.leaseOf(key, write.value)?.id === id;
    };
    const bound = { restartedMs, driftRatio: 2 * limits.clockDriftRatio, slackMs: leaseSlackMs };
    for (const found of checkExpired(history, isThere, performance.now(), bound)) this.violation(found);
  }

  /** Who leads the keyspace, and in which term. */
  private async leadership(space: Space): Promise<string> {
    const handle = await this.cluster.connect("judge");
    try {
      const { groups } = await handle.status({ timeout: 20_000 });
      const group = groups.find(({ name }) => name === space.name);
      return `${group?.leader} in ${group?.term}`;
    } finally {
      await handle.close();
    }
  }
}
