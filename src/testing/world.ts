import { openHandle } from "../api/index.ts";
import type { ClaimScope, Unum } from "../api/index.ts";
import { Prng, UnumError, isUnumError, limits, parseDurationMs } from "../base/index.ts";
import { parseAddress, silentLogger } from "../ports/index.ts";
import type { Scope, Surroundings } from "../ports/index.ts";
import { Agreement, Cluster, Injector, SimWorld, Witness, drawPlan } from "../sim/index.ts";
import type { FaultKind, Member, Plan, SimMachine } from "../sim/index.ts";
import { StreamCarrier } from "../wire/index.ts";
import { makeExternal } from "./external.ts";
import type { ExternalHost } from "./external.ts";
import { History } from "./history.ts";
import type { Checker } from "./history.ts";
import { Life, MachineSurroundings } from "./life.ts";
import { Task } from "./task.ts";
import type { External, Faults, Methods, Program, SimulateOptions, World } from "./types.ts";

/** Faults that hit a user's program. Changes of membership and damaged disks are Unum's own business. */
const kinds: Readonly<Record<Faults, readonly FaultKind[]>> = {
  none: [],
  crashes: ["crash", "crash-all", "restart", "pause"],
  network: ["split", "isolate", "broken-cable", "clog", "reset", "lossy"],
  clocks: ["wall-jump", "drift", "pause"],
  swarm: [
    "crash",
    "crash-all",
    "restart",
    "pause",
    "split",
    "isolate",
    "broken-cable",
    "clog",
    "reset",
    "lossy",
    "slow-disk",
    "wall-jump",
    "drift",
    "transfer",
  ],
};

export const faultNames: readonly string[] = Object.keys(kinds);

const calmLatencyUsMax = 1_000;

/** The engine behind `World`: a simulated cluster, the programs on it, and what is outside of it. */
export class SimulatedWorld implements World {
  readonly seed: number;
  readonly nodes: number;
  readonly history: History;
  /** How the test's own body is surrounded. */
  readonly own: MachineSurroundings;
  /** What Unum itself did wrong. */
  readonly violations: string[] = [];
  readonly sim: SimWorld;
  private readonly scope: Scope<Surroundings>;
  private readonly claimScope: ClaimScope;
  private readonly prng: Prng;
  private readonly cluster: Cluster;
  private readonly injector: Injector;
  private readonly plan: Plan;
  private readonly agreement = new Agreement();
  private readonly members: readonly Member[];
  private readonly lives = new Map<Member, Life>();
  private readonly tasks = new Map<Member, Task[]>();
  private readonly services: ExternalHost;
  private healed = false;
  private handles = 0;

  constructor(options: SimulateOptions, scope: Scope<Surroundings>, claimScope: ClaimScope) {
    const { faults = "none", nodes = 3, seed } = options;
    this.seed = seed;
    this.nodes = nodes;
    this.scope = scope;
    this.claimScope = claimScope;
    this.prng = new Prng(seed);
    this.plan = this.draw(faults);
    this.sim = new SimWorld(seed, { network: { latencyUsMax: this.plan.latencyUsMax } });
    const violation = (text: string): void => void this.violations.push(text);
    this.cluster = new Cluster(this.sim, {
      plan: this.plan,
      agreement: this.agreement,
      witness: new Witness({ violation }),
      violation,
      corrupt: (member) => this.injector.attend(member),
      started: (member, node) =>
        this.begin(member, new Life(member.machine, this.prng.fork(`life ${member.name} ${member.machine.host.life}`), node, claimScope)),
    });
    this.members = [...this.cluster.members.values()];
    const machine = this.sim.machine("test");
    this.own = new MachineSurroundings(machine, this.prng.fork("test"));
    this.history = new History({
      nowMs: () => this.nowMs,
      process: () => this.nameOf(scope.current()),
      isAlive: () => {
        const actor = scope.current();
        return () => !(actor instanceof Life) || actor.isPresent;
      },
      isCertain: (error) => isUnumError(error) && error.outcome === "not-applied",
    });
    this.injector = new Injector(this.cluster, this.open(this.sim.machine("admin")), this.plan);
    this.services = {
      scope,
      machine,
      own: this.own,
      prng: this.prng.fork("services"),
      history: this.history,
      isFaulty: () => faults !== "none" && !this.healed,
      nameOf: (caller) => this.nameOf(caller),
    };
    for (const member of this.members) {
      this.tasks.set(member, []);
      member.machine.host.observe((state) => {
        if (state === "down" || state === "off") this.history.cut(member.name);
      });
    }
  }

  private draw(faults: Faults): Plan {
    const prng = this.prng.fork("faults");
    // Some are left out in each run, so that rare combinations are not drowned by the even mix.
    const nemeses = kinds[faults].filter(() => prng.chance(2, 3));
    const plan = drawPlan(prng.fork("plan"), "swarm", { nemeses });
    const calm = faults === "none" ? { driftPpmMax: 0, latencyUsMax: calmLatencyUsMax } : {};
    // What a user's program may rely on for an hour, or for minutes, is not taken from it sooner.
    const lasting = { historyMs: limits.historyMs, sessionIdleMs: limits.sessionIdleMs };
    return { ...plan, ...calm, ...lasting, nodes: this.nodes };
  }

  /** Boots the nodes and lets the seeded faults come. */
  start(): void {
    this.cluster.start();
    for (const { atMs, fault } of this.plan.faults) this.sim.scheduler.schedule(atMs * 1000, "nemesis", () => this.strike(fault));
    this.sim.scheduler.schedule(this.plan.faultMs * 1000, "faults end", () => this.endFaults());
  }

  private strike(fault: Plan["faults"][number]["fault"]): void {
    if (!this.healed) this.injector.inject(fault);
  }

  private endFaults(): void {
    if (!this.healed && this.plan.faults.length > 0) this.heal();
  }

  private begin(member: Member, life: Life): void {
    this.lives.set(member, life);
    for (const task of this.tasks.get(member) ?? []) task.begin(life);
  }

  private at(node: number): Member {
    const member = this.members[node];
    if (member === undefined)
      throw new UnumError("INVALID_ARGUMENT", `There is no node ${node}; this world has nodes 0 to ${this.nodes - 1}.`);
    return member;
  }

  get nowMs(): number {
    return this.sim.scheduler.nowMs;
  }

  /** The handle of the node that the code runs on, for `start()` within a program. */
  handleOf(actor: Surroundings | undefined): Unum | undefined {
    return actor instanceof Life ? actor.handle : undefined;
  }

  private nameOf(actor: Surroundings | undefined): string {
    return actor instanceof MachineSurroundings ? actor.name : this.own.name;
  }

  run<T>(node: number, program: Program<T>): Promise<T> {
    const member = this.at(node);
    const task = new Task(program, this.scope);
    (this.tasks.get(member) as Task<unknown>[]).push(task as Task<unknown>);
    member.machine.host.schedule(0, "program", () => {
      const life = this.lives.get(member);
      if (life?.isPresent === true) task.begin(life);
    });
    return task.result;
  }

  connect(): Unum {
    return this.open(this.sim.machine(`client${++this.handles}`));
  }

  external<M extends Methods>(name: string, methods: M): External<M> {
    return makeExternal(this.services, name, methods);
  }

  crash(node: number, how: "process" | "power" = "power"): void {
    const member = this.at(node);
    if (member.machine.host.alive) this.cluster.crash(member, how);
  }

  restart(node: number): void {
    this.crash(node, "process");
    this.cluster.revive(this.at(node));
  }

  pause(node: number, duration?: number | string): void {
    const { host } = this.at(node).machine;
    const forMs = duration === undefined ? undefined : durationOf(duration);
    if (host.state !== "up") return;
    host.pause();
    if (forMs !== undefined) this.sim.scheduler.schedule(forMs * 1000, `continue ${host.name}`, () => host.resume());
  }

  partition(...sides: readonly (readonly number[])[]): void {
    const names = sides.map((side) => side.map((node) => this.at(node).name));
    for (const from of names) for (const to of names) if (from !== to) this.sim.network.block(from, to);
  }

  skew(node: number, ms: number): void {
    this.at(node).machine.clock.jumpWall(ms);
  }

  heal(): void {
    this.healed = true;
    this.injector.stop();
    this.cluster.heal();
  }

  advance(duration: number | string): Promise<void> {
    const ms = durationOf(duration);
    return new Promise((resolve) => this.sim.scheduler.schedule(ms * 1000, "advance", resolve));
  }

  random(bound: number): number {
    return Math.floor(this.own.random() * bound);
  }

  check(...checkers: readonly Checker[]): void {
    for (const checker of checkers) checker(this.history);
  }

  /** Unum's own broken promises, if any. */
  broken(): readonly string[] {
    return [...this.violations, ...this.agreement.violations];
  }

  /** Nothing goes on: no process runs any more. */
  end(): void {
    for (const machine of this.sim.machines.values()) machine.host.crash("power");
  }

  /** Who waits for what. */
  describe(): string {
    const lines = this.members.map((member) => {
      const waiting = (this.tasks.get(member) ?? []).filter((task) => !task.isOver).length;
      return `${member.name}: ${member.machine.host.state}, ${waiting} programs that have not ended`;
    });
    return [...lines, this.cluster.describe()].join("\n");
  }

  private open(machine: SimMachine): Unum {
    const { clock, streams } = machine;
    return openHandle(
      {
        clock,
        prng: this.prng.fork(`handle ${machine.host.name}`),
        logger: silentLogger,
        scope: this.claimScope,
        dial: async (endpoint, timeoutMs) => {
          const address = parseAddress(endpoint);
          if (address === undefined) throw new UnumError("INVALID_ARGUMENT", `${endpoint} is no address`);
          try {
            return new StreamCarrier(await streams.dial(address, { timeoutMs, purpose: "client" }), (callback) =>
              clock.deferLast(callback),
            );
          } catch (cause) {
            throw new UnumError("UNAVAILABLE", `${endpoint} does not answer`, { cause });
          }
        },
      },
      { endpoints: this.cluster.addresses, name: machine.host.name },
    );
  }
}

/** INVALID_ARGUMENT when it is none. */
export function durationOf(value: number | string): number {
  const ms = parseDurationMs(value);
  if (ms === undefined)
    throw new UnumError("INVALID_ARGUMENT", `A duration is milliseconds or a text such as "250ms" or "10s", not ${JSON.stringify(value)}.`);
  return ms;
}
