import type { Machine, MachineFactory } from "../machine/index.ts";
import { DiskError, type Clock, type Logger } from "../ports/index.ts";
import type { HardState, SnapshotMeta } from "../raft/index.ts";
import type { GroupLog, SnapshotFile } from "../storage/index.ts";
import { installSnapshot, loadMachine } from "./snapshots.ts";

/** After the disk refused to give a snapshot: how soon it is asked again. */
const againMs = 1_000;

export interface InstallationHost {
  readonly log: GroupLog;
  /** The state that the own newest snapshot holds stands. */
  stateLoaded(machine: Machine): void;
  /** The new machine stands, its snapshot is durable. `logKept`: raft does not know yet. */
  installed(machine: Machine, meta: SnapshotMeta, logKept: boolean): void;
  fail(cause: unknown): void;
}

/** A snapshot on its way to become the state: nothing is applied meanwhile. Of two the later one counts. */
export class Installation {
  private readonly host: InstallationHost;
  private readonly factory: MachineFactory;
  private readonly clock: Clock;
  private readonly logger: Logger;
  /** False while a replica that was just opened has only an empty machine, which nobody may see. */
  hasState = true;
  private file: SnapshotFile | undefined;
  /** What is being installed; what it is tells it from another. */
  private work: object | undefined;

  constructor(host: InstallationHost, factory: MachineFactory, platform: { readonly clock: Clock; readonly logger: Logger }) {
    this.host = host;
    this.factory = factory;
    this.clock = platform.clock;
    this.logger = platform.logger;
  }

  get isActive(): boolean {
    return this.work !== undefined;
  }

  /** The state as this disk has it, at a start. Fulfils when it stands, or never will. */
  load(file: SnapshotFile | undefined): Promise<void> {
    if (file === undefined) return Promise.resolve();
    const work = {};
    this.hasState = false;
    return this.run(work, this.read(work, file), (machine) => this.host.stateLoaded(machine));
  }

  /** What the disk cannot give now it may give later: the log and the votes do not wait for it. */
  private async read(work: object, file: SnapshotFile): Promise<Machine> {
    for (;;) {
      try {
        return await loadMachine(file, this.factory, this.clock);
      } catch (error) {
        if (!(error instanceof DiskError) || error.code !== "io" || this.work !== work) throw error;
        this.logger.warn("a snapshot could not be read; it is tried again", { group: this.host.log.group, error: error.message });
      }
      await new Promise<void>((resolve) => void this.clock.after(againMs, resolve));
    }
  }

  /** The newest one that came in whole: raft says whether it wants it. */
  offer(file: SnapshotFile): void {
    this.file = file;
  }

  /** Log and state are replaced as one. False: raft wants one that did not come. */
  replaceAll(meta: SnapshotMeta | undefined, hardState: HardState, onDurable: () => void): boolean {
    const { file } = this;
    if (file === undefined || meta === undefined || file.meta.index !== meta.index) return false;
    this.file = undefined;
    this.begin(file, hardState, false, onDurable);
    return true;
  }

  /** The state alone is replaced, by one that lies within the log. */
  replaceState(file: SnapshotFile, hardState: HardState): void {
    this.begin(file, hardState, true, () => undefined);
  }

  private begin(file: SnapshotFile, hardState: HardState, keepLog: boolean, onDurable: () => void): void {
    const making = installSnapshot(this.host.log, this.factory, this.clock, file, hardState, keepLog, onDurable);
    void this.run({}, making, (machine) => this.host.installed(machine, file.meta, keepLog));
  }

  private run(work: object, making: Promise<Machine>, use: (machine: Machine) => void): Promise<void> {
    this.work = work;
    return making.then(
      (machine) => {
        if (this.work !== work) return;
        this.work = undefined;
        this.hasState = true;
        use(machine);
      },
      (error: unknown) => {
        if (this.work === work) this.host.fail(error);
      },
    );
  }
}
