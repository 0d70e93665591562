import { assert } from "../base/index.ts";
import type { Describable } from "../base/index.ts";
import type { EventGate, Scheduler, SimEvent } from "./scheduler.ts";

export type HostState = "up" | "stopped" | "asleep" | "down" | "off";

/**
 * A simulated machine with one process on it. Everything that happens on it passes this gate.
 *
 * - `up`: events run. - `stopped` (SIGSTOP, a long garbage collection): events wait, its clocks go on.
 * - `asleep` (a closed laptop): events wait and the monotonic clock stands still. - `down`: the
 * process is dead, its events are gone, the machine still answers the network. - `off`: power loss;
 * nothing answers.
 *
 * Invariant: `held` is empty unless the state is `stopped` or `asleep`. An event belongs to the life
 * in which it was made and never runs in a later one.
 */
export class SimHost implements EventGate, Describable {
  readonly name: string;
  readonly scheduler: Scheduler;
  private currentState: HostState = "up";
  private currentLife = 1;
  private held: SimEvent[] = [];
  private readonly observers: ((state: HostState, before: HostState) => void)[] = [];

  constructor(scheduler: Scheduler, name: string) {
    this.scheduler = scheduler;
    this.name = name;
  }

  get state(): HostState {
    return this.currentState;
  }

  /** Counted up at each start. */
  get life(): number {
    return this.currentLife;
  }

  /** Whether there is a process: running, stopped or asleep. */
  get alive(): boolean {
    return this.currentState !== "down" && this.currentState !== "off";
  }

  /** Something that happens on this host, unless it dies before. */
  schedule(delayUs: number, label: string, callback: () => void): SimEvent {
    return this.scheduler.schedule(delayUs, `${this.name} ${label}`, callback, this, this.currentLife);
  }

  admit(event: SimEvent): "run" | "drop" | "hold" {
    if (event.life !== this.currentLife || !this.alive) return "drop";
    if (this.currentState === "up") return "run";
    this.held.push(event);
    return "hold";
  }

  /** Told of each change of state, at once, after it. */
  observe(observer: (state: HostState, before: HostState) => void): void {
    this.observers.push(observer);
  }

  /** Events wait until `resume`. */
  pause(how: "stopped" | "asleep" = "stopped"): void {
    assert(this.currentState === "up", `${this.name} is up`);
    this.change(how);
  }

  resume(): void {
    if (this.currentState !== "stopped" && this.currentState !== "asleep") return;
    const held = this.held;
    this.held = [];
    this.change("up");
    for (const event of held) this.scheduler.reschedule(event);
  }

  /** The process dies (kill -9), or with "power" the machine. */
  crash(how: "process" | "power" = "process"): void {
    if (!this.alive) {
      if (how === "power") this.change("off");
      return;
    }
    this.held = [];
    this.currentLife++;
    this.change(how === "power" ? "off" : "down");
  }

  /** The machine is there again, with a new process. */
  start(): void {
    assert(!this.alive, `${this.name} is not running`);
    this.currentLife++;
    this.change("up");
  }

  private change(state: HostState): void {
    const before = this.currentState;
    if (before === state) return;
    this.currentState = state;
    this.scheduler.trace.event(this.scheduler.nowUs, `${this.name} is ${state}`);
    for (const observer of this.observers) observer(state, before);
  }

  describe(): string {
    return `${this.name}: ${this.currentState}, life ${this.currentLife}, ${this.held.length} events waiting`;
  }
}
