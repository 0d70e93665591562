import { Prng, isUnumError, unreachable } from "../base/index.ts";
import type { UnumHandle } from "../api/index.ts";
import { newestBuild } from "./cluster.ts";
import type { Cluster, Member } from "./cluster.ts";
import { Damage } from "./damage.ts";
import type { Rot } from "./damage.ts";
import type { CrashFate } from "./disk.ts";
import { describeFault } from "./fault.ts";
import type { Fault } from "./fault.ts";
import type { Plan } from "./nemesis.ts";
import type { SimMachine } from "./world.ts";

/** A network as good as it gets, to return to after a lossy time. */
const lossless = { lossPpm: 0, duplicatePpm: 0, reorderPpm: 0 } as const;
const adminTimeoutMs = 5_000;
/** So many members stay: with fewer a group has fewer copies than the budget of damage counts on. */
const leftMin = 3;
/** How long an operator takes. */
const replaceUs = 1_000_000;

/**
 * Makes the planned faults happen to a cluster, and ends each in its time. Whom a fault hits is
 * decided when it comes; one that hits nobody, or somebody who is down already, does nothing.
 */
export class Injector {
  private readonly cluster: Cluster;
  /** For faults that are requests: transfers and changes of membership. */
  private readonly admin: UnumHandle;
  private readonly latencyUsMax: number;
  private readonly damage: Damage;
  private healed = false;
  /** Faults that hit somebody, by kind. */
  readonly hits = new Map<string, number>();

  constructor(cluster: Cluster, admin: UnumHandle, plan: Pick<Plan, "latencyUsMax" | "budget">) {
    this.cluster = cluster;
    this.admin = admin;
    this.latencyUsMax = plan.latencyUsMax;
    this.damage = new Damage(cluster, plan.budget);
  }

  /** From here on nothing that ends late touches the healed cluster. */
  stop(): void {
    this.healed = true;
    for (const client of this.clients()) client.host.resume();
  }

  inject(fault: Fault): void {
    const target = "target" in fault ? this.cluster.find(fault.target) : undefined;
    if ("target" in fault && target === undefined) return;
    this.note(`fault: ${describeFault(fault)}${target === undefined ? "" : ` on ${target.name}`}`);
    this.hits.set(fault.kind, (this.hits.get(fault.kind) ?? 0) + 1);
    this.apply(fault, target as Member);
  }

  private apply(fault: Fault, target: Member): void {
    const { cluster } = this;
    switch (fault.kind) {
      case "crash":
        cluster.crash(target, fault.how);
        return this.later(fault.forMs, `start ${target.name}`, () => cluster.revive(target));
      case "crash-write":
        return this.crashWrite(target, fault.changes, fault.fate, fault.forMs);
      case "crash-all":
        for (const member of cluster.live()) cluster.crash(member, fault.how);
        return this.later(fault.forMs, "start all", () => {
          for (const member of cluster.members.values()) cluster.revive(member);
        });
      case "restart":
        void cluster.restart(target, fault.forMs);
        return;
      case "pause":
        return this.pause(target, fault.how, fault.forMs);
      case "pause-client":
        return this.pauseClient(fault.pick, fault.how, fault.forMs);
      case "upgrade":
        cluster.crash(target, "process");
        target.build = newestBuild;
        return this.later(fault.forMs, `start ${target.name}`, () => cluster.revive(target));
      case "transfer":
        return this.ask("transfer", () => this.admin.transferLeader({ timeout: adminTimeoutMs }));
      case "add-member":
        if (cluster.live().length < 7) cluster.addMember();
        return;
      case "remove-member":
        return this.remove(target);
      case "slow-disk":
        target.disk.slow(fault.factor);
        return this.later(fault.forMs, `fast disk of ${target.name}`, () => target.disk.hurry());
      case "full-disk":
        target.disk.capacityBytes = target.disk.usedBytes();
        target.disk.copiesOnWrite = fault.copiesOnWrite === true;
        return this.later(fault.forMs, `room on ${target.name}`, () => (target.disk.capacityBytes = Number.MAX_SAFE_INTEGER));
      case "sync-failure":
        return target.disk.failNext("sync");
      case "io-error":
        return target.disk.failNext(fault.operation);
      case "bit-rot":
        return this.rot(target, fault, fault.forMs);
      case "replace":
        return this.replace(target, fault.forMs);
      case "wall-jump":
        return target.machine.clock.jumpWall(fault.byMs);
      case "drift":
        return target.machine.clock.setDrift(fault.ppm);
      default:
        return this.network(fault, target);
    }
  }

  private network(
    fault: Extract<Fault, { kind: "split" | "isolate" | "broken-cable" | "clog" | "swizzle" | "reset" | "lossy" }>,
    target: Member,
  ): void {
    const { network } = this.cluster.world;
    const names = [...this.cluster.members.keys()];
    switch (fault.kind) {
      case "split": {
        const part = names.filter((_, i) => ((fault.pick >> i) & 1) === 1);
        const rest = names.filter((name) => !part.includes(name));
        return this.blocked(
          [
            [part, rest],
            [rest, part],
          ],
          fault.forMs,
        );
      }
      case "isolate": {
        const others = (fault.clients ? [...this.cluster.world.machines.keys()] : names).filter((name) => name !== target.name);
        const ways: [readonly string[], readonly string[]][] = [];
        if (fault.direction !== "in") ways.push([[target.name], others]);
        if (fault.direction !== "out") ways.push([others, [target.name]]);
        return this.blocked(ways, fault.forMs);
      }
      case "broken-cable": {
        const [a, b] = this.pair(names, fault.pick);
        const there = [[a], [b]] as const;
        return this.blocked(fault.direction === "out" ? [there] : [there, [[b], [a]]], fault.forMs);
      }
      case "swizzle":
        return this.swizzle(names, fault.pick, fault.forMs);
      case "clog": {
        const [a, b] = this.pair(names, fault.pick);
        return network.clog(a, b, fault.forMs);
      }
      case "reset": {
        const [a, b] = this.pair(names, fault.pick);
        return network.reset(a, b);
      }
      case "lossy": {
        const { latencyUsMax, lossPpm, duplicatePpm, reorderPpm } = fault;
        network.setLinks({ lossPpm, duplicatePpm, reorderPpm, latencyUsMax });
        return this.later(fault.forMs, "clean links", () => network.setLinks({ ...lossless, latencyUsMax: this.latencyUsMax }));
      }
      default:
        return unreachable(fault);
    }
  }

  /** Held one by one over the first half of the time, let go in another order over the second. */
  private swizzle(names: readonly string[], pick: number, forMs: number): void {
    const { network, scheduler } = this.cluster.world;
    const prng = new Prng(pick);
    const links = names.flatMap((from) => names.filter((to) => to !== from).map((to) => [from, to] as const));
    const held = prng.shuffle(links).slice(0, prng.between(2, Math.max(2, links.length)));
    const stepUs = (forMs * 500) / held.length;
    held.forEach(([from, to], i) => {
      scheduler.schedule(i * stepUs, `hold ${from} > ${to}`, () => {
        if (!this.healed) network.block([from], [to]);
      });
    });
    prng.shuffle(held).forEach(([from, to], i) => {
      this.later(forMs / 2 + (i * stepUs) / 1000, `let go ${from} > ${to}`, () => network.unblock([from], [to]));
    });
  }

  private blocked(ways: readonly (readonly [readonly string[], readonly string[]])[], forMs: number): void {
    const { network } = this.cluster.world;
    for (const [from, to] of ways) network.block(from, to);
    this.later(forMs, "unblock", () => {
      for (const [from, to] of ways) network.unblock(from, to);
    });
  }

  private pair(names: readonly string[], pick: number): [string, string] {
    const first = names[pick % names.length] as string;
    const others = names.filter((name) => name !== first);
    return [first, others[(pick >> 4) % Math.max(1, others.length)] ?? first];
  }

  /** Armed while the node is up, and for one life only. The write stands in the kernel, its sync has not ended. */
  private crashWrite(target: Member, changes: number, fate: CrashFate, forMs: number): void {
    const { scheduler } = this.cluster.world;
    const { host } = target.machine;
    const { life } = host;
    target.disk.afterChanges(changes, () => {
      scheduler.schedule(0, `power of ${target.name}`, () => {
        if (this.healed || host.life !== life || !host.alive) return;
        this.cluster.crash(target, "power", fate);
        this.later(forMs, `start ${target.name}`, () => this.cluster.revive(target));
      });
    });
  }

  private clients(): SimMachine[] {
    return [...this.cluster.world.machines.values()].filter(({ host }) => /^c\d+$/.test(host.name));
  }

  private pauseClient(pick: number, how: "stopped" | "asleep", forMs: number): void {
    const clients = this.clients();
    const host = clients[pick % Math.max(1, clients.length)]?.host;
    if (host?.state !== "up") return;
    host.pause(how);
    this.later(forMs, `continue ${host.name}`, () => host.resume());
  }

  private pause(target: Member, how: "stopped" | "asleep", forMs: number): void {
    const { host } = target.machine;
    if (host.state !== "up") return;
    host.pause(how);
    this.later(forMs, `continue ${target.name}`, () => host.resume());
  }

  /** The machine is off while its disk is damaged, so that what is damaged is what it comes back to. */
  private rot(target: Member, rot: Rot, forMs: number): void {
    if (!this.damage.mayHit(target)) return this.note("not within the budget");
    this.cluster.crash(target, "power");
    if (!this.damage.rot(target, rot)) this.note("nothing there to damage");
    this.later(forMs, `start ${target.name}`, () => this.cluster.revive(target));
  }

  private replace(target: Member, forMs: number): void {
    if (!this.damage.mayHit(target)) return this.note("not within the budget");
    this.cluster.crash(target, "power");
    this.damage.replace(target);
    this.later(forMs, `start ${target.name}`, () => this.cluster.revive(target));
  }

  /** What an operator does with a node that says its directory is damaged for good: a new disk, as soon as the others can do without the old one. */
  attend(member: Member): void {
    const { scheduler } = this.cluster.world;
    const { host } = member.machine;
    const { life } = host;
    const replaced = this.damage.replace(member);
    this.note(replaced ? `${member.name} gets an empty directory` : `the directory of ${member.name} stays as it is`);
    scheduler.schedule(replaceUs, `${replaced ? "start" : "look again at"} ${member.name}`, () => {
      if (replaced) this.cluster.revive(member);
      else if (!host.alive && host.life === life) this.attend(member);
    });
  }

  private remove(target: Member): void {
    // Whoever else is away or damaged: the cluster itself waits until it can do without the member.
    if (this.cluster.live().filter((member) => !member.leaving).length <= leftMin || !this.damage.mayLeave()) return;
    target.leaving = true;
    this.ask(`remove ${target.name}`, () => this.admin.removeMember(target.name, { timeout: adminTimeoutMs }));
  }

  /** A request that may fail like any other: what matters is that it breaks nothing. */
  private ask(what: string, request: () => Promise<unknown>): void {
    request().then(
      () => this.note(`${what}: done`),
      (error: unknown) => {
        if (!isUnumError(error)) throw error;
        this.note(`${what}: ${error.code}`);
      },
    );
  }

  private later(ms: number, label: string, end: () => void): void {
    this.cluster.world.scheduler.schedule(ms * 1000, label, () => {
      if (!this.healed) end();
    });
  }

  private note(text: string): void {
    const { scheduler } = this.cluster.world;
    scheduler.trace.event(scheduler.nowUs, text);
  }
}
