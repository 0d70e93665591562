import type { Machine, MachineFactory } from "../machine/index.ts";
import type { HardState, SnapshotMeta } from "../raft/index.ts";
import type { GroupLog, SnapshotFile } from "../storage/index.ts";
import { installSnapshot } from "./snapshots.ts";

export interface InstallationHost {
  readonly log: GroupLog;
  /** The new machine stands, its snapshot is durable. `logKept`: raft does not know yet. */
  installed(machine: Machine, meta: SnapshotMeta, logKept: boolean): void;
  fail(cause: unknown): void;
}

/** A received snapshot on its way to become the state: nothing is applied meanwhile. */
export class Installation {
  private readonly host: InstallationHost;
  private readonly factory: MachineFactory;
  private file: SnapshotFile | undefined;
  private active = false;

  constructor(host: InstallationHost, factory: MachineFactory) {
    this.host = host;
    this.factory = factory;
  }

  get isActive(): boolean {
    return this.active;
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
    this.active = true;
    installSnapshot(this.host.log, this.factory, file, hardState, keepLog, onDurable).then(
      (machine) => {
        this.active = false;
        this.host.installed(machine, file.meta, keepLog);
      },
      (error: unknown) => this.host.fail(error),
    );
  }
}
