import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Command } from "./machine/controls.ts";
import type { DiskOptions } from "./machine/disk.ts";

/** From here and from the build alike. */
const here = import.meta.url;
const root = here.includes("/dist/") ? new URL("../../../", here) : new URL("../../", here);
const program = fileURLToPath(new URL("bin/unum.js", root));
const preload = new URL("dist/test/chaos/machine/preload.js", root).href;

export interface ChaosNodeOptions {
  readonly name: string;
  readonly arguments: readonly string[];
  /** Words before the program's own: where it runs. */
  readonly enter: readonly string[];
  /** Undefined: it has the real disk, and no power is lost. */
  readonly disk: DiskOptions | undefined;
  /** It ended without being told to. */
  readonly onExit: (node: ChaosNode, how: string) => void;
}

const logLinesMax = 400;

/** A node's process as `unum start` makes it, on a machine that can be broken. */
export class ChaosNode {
  readonly name: string;
  readonly log: string[] = [];
  /** What the harness did to this life that may end it. */
  injured = false;
  private readonly options: ChaosNodeOptions;
  private child: ChildProcess | undefined;
  private stopping = false;
  private standing = false;
  private shiftMs = 0;
  private commands = 0;

  constructor(options: ChaosNodeOptions) {
    this.options = options;
    this.name = options.name;
  }

  get isRunning(): boolean {
    return this.child !== undefined && this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Between SIGSTOP and SIGCONT. */
  get isStanding(): boolean {
    return this.standing && this.isRunning;
  }

  start(): void {
    if (this.isRunning) return;
    const { disk, enter } = this.options;
    const [command = process.execPath, ...before] = [...enter, process.execPath];
    const environment: NodeJS.ProcessEnv = {
      ...process.env,
      NODE_OPTIONS: `--import ${preload}`,
      UNUM_CHAOS_SHIFT_MS: String(this.shiftMs),
      ...(disk === undefined ? {} : { UNUM_CHAOS_DISK: JSON.stringify(disk) }),
    };
    // The program itself is the published one; what is said to it beyond its arguments goes to the machine under it.
    const child = spawn(command, [...before, program, "start", "--name", this.name, ...this.options.arguments], {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: environment,
    });
    this.stopping = false;
    this.standing = false;
    this.injured = false;
    this.child = child;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => this.keep(text));
    child.once("exit", (code, signal) => {
      if (this.child === child && !this.stopping) this.options.onExit(this, signal ?? `exit ${code}`);
    });
    // A process that is killed while it is told something; its exit says what there is to say.
    child.on("error", (error) => this.keep(`${this.name}: ${error.message}`));
  }

  private keep(text: string): void {
    this.log.push(...text.split("\n").filter((line) => line !== ""));
    if (this.log.length > 2 * logLinesMax) this.log.splice(0, logLinesMax);
  }

  /** Ends this very process and waits until it has ended. */
  async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
    const { child } = this;
    if (child === undefined || !this.isRunning) return;
    this.stopping = true;
    const ended = once(child, "exit");
    child.kill(signal);
    if (this.standing && signal === "SIGTERM") this.resume();
    await ended;
  }

  pause(): void {
    if (!this.isRunning) return;
    this.standing = true;
    this.child?.kill("SIGSTOP");
  }

  resume(): void {
    if (!this.standing) return;
    this.standing = false;
    if (this.isRunning) this.child?.kill("SIGCONT");
  }

  /** The wall clock stands so far from the true one, now and after a restart. */
  shiftClock(shiftMs: number): Promise<void> {
    this.shiftMs = shiftMs;
    return this.tell({ wallShiftMs: shiftMs });
  }

  failDisk(command: Pick<Command, "failReads" | "failSyncs" | "failWrites">): Promise<void> {
    this.injured = true;
    return this.tell(command);
  }

  /** Fulfils when the process has it. One that stands still or dies never says so; whoever waits is let go then. */
  private async tell(command: Omit<Command, "id">): Promise<void> {
    const { child } = this;
    if (child === undefined || !this.isRunning || !child.connected) return;
    const id = ++this.commands;
    const done = new Promise<void>((resolve) => {
      const settle = (): void => {
        child.off("message", heard);
        child.off("exit", settle);
        clearTimeout(timer);
        resolve();
      };
      const heard = (message: unknown): void => {
        if ((message as { readonly done?: number }).done === id) settle();
      };
      const timer = setTimeout(settle, 2_000);
      child.on("message", heard);
      child.once("exit", settle);
    });
    child.send({ ...command, id }, () => undefined);
    await done;
  }
}
