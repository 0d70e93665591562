import { defaultGroup, limits, systemGroup } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { text } from "../api/index.ts";
import type { UnumHandle } from "../api/index.ts";
import {
  checkBounds,
  checkCopies,
  checkDurability,
  checkExpired,
  checkRegisters,
  checkRest,
  checkRevisions,
  checkWatches,
} from "./check/index.ts";
import type { Agreement, Chronicle, FinalRead, Held, IllegalKey } from "./check/index.ts";
import type { Cluster } from "./cluster.ts";
import { isWatched, writesOf } from "./history.ts";
import type { History } from "./history.ts";
import { SimulationStuck } from "./scheduler.ts";
import type { Witness } from "./witness.ts";
import { pad, unpad } from "./workloads/index.ts";
import type { Load, Space } from "./workloads/index.ts";
import type { SimWorld } from "./world.ts";

/** Watches that go on must reach the end within this. */
const watchMsMax = 30_000;
/** Beyond a lease's time: for the leader to notice that it is over, and to commit that. */
const leaseSlackMs = 2_000;
/** What was asked last is answered and taken within this, however slow a disk was. */
const restMsMax = 30_000;
const restMsGrain = 50;

export interface JudgeOptions {
  readonly world: SimWorld;
  readonly cluster: Cluster;
  readonly load: Load;
  readonly witness: Witness;
  readonly agreement: Agreement;
  /** Whether a group may have stopped for good, if somebody says why: beyond the budget of damage. */
  readonly mayStop: boolean;
  /** A handle that knows one node and no other. */
  readonly open: (name: string, address: string) => UnumHandle;
  /** `checker`: who noticed, in a word. */
  readonly violation: (checker: string, found: string) => void;
}

/** Looks at all that was recorded of a run, when everything is whole and quiet again. */
export class Judge {
  /** Keys whose linearizability check ran out of budget. */
  undecided = 0;
  revisions = 0;
  /** What to look at a picture of. */
  readonly illegal: IllegalKey[] = [];
  private readonly options: JudgeOptions;
  private healedMs = 0;

  constructor(options: JudgeOptions) {
    this.options = options;
  }

  /** From now on nothing hinders a leader. */
  healed(): void {
    this.healedMs = this.options.world.scheduler.nowMs;
  }

  /** `stopped`: the cluster said that it cannot go on, so that nothing can be asked any more; what it said before must be right all the same. */
  async judge(stopped: boolean): Promise<void> {
    for (const space of this.options.load.spaces.values()) {
      const silent = stopped || this.hasStopped(space);
      if (space.history.leases.length > 0 && !silent) await this.letLeasesEnd(space);
      await this.judgeSpace(space, silent);
    }
    if (!stopped && !this.isAskedInVain()) await this.judgeRest();
    for (const { space, type, workload } of this.options.load.parts)
      for (const found of workload.check?.(this.chronicle(space)) ?? []) this.options.violation(type, found);
  }

  /** To be called now and then: what nodes hold in memory at this moment. */
  sample(): void {
    for (const held of this.held()) for (const found of checkBounds(held, limits)) this.options.violation("bounds", found);
  }

  private held(): Held[] {
    return this.options.cluster.live().flatMap(({ name, node }) => {
      if (node === undefined) return [];
      const replicas = [...node.groups.all()].map((replica) => ({
        group: replica.group,
        uncommittedBytes: replica.raftStatus().uncommittedBytes,
        memoryBytes: replica.memoryBytes,
      }));
      const { bufferedBytes } = node.gate;
      return [{ node: name, usedBytes: node.memory.usedBytes, budgetBytes: node.options.memoryBudgetBytes, bufferedBytes, replicas }];
    });
  }

  /** Each node is at rest at some moment before long: a handle may ask something by itself now and then, and a slow disk take its time. */
  private async judgeRest(): Promise<void> {
    const restless = new Set(this.options.cluster.live().map(({ name }) => name));
    const writtenBytes = this.writtenBytes();
    const judge = (): [string, string[]][] => this.held().map((held) => [held.node, checkRest(held, writtenBytes)]);
    const look = (): boolean => {
      for (const [node, found] of judge()) if (found.length === 0) restless.delete(node);
      return restless.size === 0;
    };
    for (let waitedMs = 0; !look() && waitedMs < restMsMax; waitedMs += restMsGrain) await this.pass(restMsGrain);
    for (const [node, found] of judge()) if (restless.has(node)) for (const text of found) this.options.violation("bounds", text);
  }

  private writtenBytes(): number {
    let bytes = 0;
    for (const { history } of this.options.load.spaces.values())
      for (const { operation } of history.calls) for (const { value = "" } of writesOf(operation)) bytes += pad(value).length + 100;
    return bytes;
  }

  /** Whoever did not know a named keyspace before asks the system group for it. */
  private hasStopped(space: Space): boolean {
    return this.hasGroupStopped(this.group(space)) || (space.name !== "default" && this.hasGroupStopped(systemGroup));
  }

  private hasGroupStopped(group: GroupId | undefined): boolean {
    return this.options.mayStop && group !== undefined && this.options.cluster.hasStoppedLoudly(group);
  }

  /** Handles ask a group that said that it cannot go on again and again: some of their requests are always on the way. */
  private isAskedInVain(): boolean {
    return this.hasGroupStopped(systemGroup) || [...this.options.load.spaces.values()].some((space) => this.hasStopped(space));
  }

  private chronicle(space: Space): Chronicle {
    return this.options.witness.chronicle(this.group(space));
  }

  private group(space: Space): GroupId | undefined {
    if (space.name === "default") return defaultGroup;
    for (const { node } of this.options.cluster.live()) {
      const group = node?.directory?.state?.keyspaces.get(space.name);
      if (group !== undefined) return group;
    }
    // Nobody is left who knows it by name: by what was written there, then.
    const written = new Set(space.history.calls.flatMap(({ operation }) => writesOf(operation).map(({ key, value }) => `${key}=${value}`)));
    return this.options.witness.groupWith((key, value) => written.has(`${key}=${value}`));
  }

  private async judgeSpace(space: Space, stopped: boolean): Promise<void> {
    const { violation } = this.options;
    const { guard, history } = space;
    const finals = stopped ? [] : await this.readAll(space);
    const chronicle = this.chronicle(space);
    this.revisions += chronicle.lastRevision;
    if (stopped) history.abandonWatches();
    else await this.letWatchesEnd(history, chronicle);
    // While they were waited for the lease of a claim may have ended: they may have been told of that, too, and need not.
    const after = this.chronicle(space);
    const registers = checkRegisters(history);
    this.undecided += registers.undecided.length;
    this.illegal.push(...registers.illegal);
    const found: Readonly<Record<string, readonly string[]>> = {
      linearizability: registers.violations,
      revisions: checkRevisions(history, chronicle),
      durability: checkDurability(history, chronicle, finals),
      watch: checkWatches(history, after, chronicle.lastRevision),
      copies: checkCopies(history, after),
      leases: guard.violations,
    };
    for (const [checker, lines] of Object.entries(found))
      for (const line of lines) violation(checker, space.name === "default" ? line : `keyspace ${space.name}: ${line}`);
  }

  private async readAll(space: Space): Promise<FinalRead[]> {
    const { cluster, open, world } = this.options;
    const finals: FinalRead[] = [];
    if (this.group(space) === undefined) return finals;
    for (const { address, name } of cluster.live()) {
      const handle = open(`final-${space.name}-${name}`, address);
      const kv = space.name === "default" ? handle.kv : handle.keyspace(space.name);
      const page = await world.scheduler.settle(kv.with(text).range({ prefix: "" }, { limit: 10_000 }));
      finals.push({
        node: name,
        revision: page.revision,
        entries: page.entries.map(({ createRevision, key, revision, value, version }) => ({
          key,
          revision,
          value: unpad(value),
          createRevision,
          version,
        })),
      });
    }
    return finals;
  }

  /** Waits until no lease is left that nobody keeps, or the last moment for it has passed. */
  private async letLeasesEnd(space: Space): Promise<void> {
    const { agreement, violation, world } = this.options;
    const group = this.group(space);
    if (group === undefined) return;
    const stops = world.scheduler.nowMs;
    for (const leasing of space.history.leases) leasing.releasedMs = Math.min(leasing.releasedMs, stops);
    const outlived = (): string[] => {
      const chronicle = this.chronicle(space);
      const restartedMs = Math.max(this.healedMs, agreement.ledSinceMs(group));
      const bound = { restartedMs, driftRatio: 2 * limits.clockDriftRatio, slackMs: leaseSlackMs };
      const isThere = (key: string, id: string): boolean => {
        const write = chronicle.at(key, chronicle.lastRevision);
        return write?.value !== undefined && space.guard.leaseOf(key, write.value)?.id === id;
      };
      return checkExpired(space.history, isThere, world.scheduler.nowMs, bound);
    };
    const longestMs = Math.max(...space.history.leases.map(({ ttlMs }) => ttlMs));
    await this.pass(longestMs * (1 + 2 * limits.clockDriftRatio) + leaseSlackMs + 100);
    // A change of leader in between gives every lease its time again.
    for (let again = 0; again < 3 && agreement.ledSinceMs(group) > stops; again++) await this.pass(longestMs + leaseSlackMs);
    for (const found of outlived()) violation("leases", found);
  }

  private async pass(ms: number): Promise<void> {
    await this.options.world.scheduler.run(ms);
  }

  private async letWatchesEnd(history: History, chronicle: Chronicle): Promise<void> {
    const behind = (): boolean =>
      history.watches.some((watching) => {
        const { changes, ended, from, started } = watching;
        if (ended !== "open" || from > chronicle.lastRevision) return false;
        const last = chronicle.changes.findLast(({ events }) => events.some(({ key }) => isWatched(watching, key)));
        return started === undefined || (last !== undefined && last.revision >= started && (changes.at(-1)?.revision ?? 0) < last.revision);
      });
    const seen = (): number => history.watches.reduce((sum, { changes }) => sum + changes.length, 0);
    // A slow reader has much to catch up with: late is who sees nothing more for so long, not who is not there yet.
    for (let before = -1; behind() && seen() > before; ) {
      before = seen();
      await this.options.world.scheduler
        .until(() => !behind(), watchMsMax)
        .catch((error: unknown) => {
          if (!(error instanceof SimulationStuck)) throw error;
        });
    }
  }
}
