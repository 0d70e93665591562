import type { SimInode } from "./disk-inode.ts";

/** One change of names, atomic: a crash keeps it or not. */
interface Change {
  readonly directory: string;
  apply(names: Map<string, SimInode>): void;
}

function directoryOf(path: string): string {
  const slash = path.lastIndexOf("/");
  return slash < 0 ? "" : path.slice(0, slash);
}

function ascending(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Names as processes see them, as the disk has them, and the changes between, in order. */
export class DiskNames {
  private current = new Map<string, SimInode>();
  private readonly durable = new Map<string, SimInode>();
  private pending: Change[] = [];

  find(path: string): SimInode | undefined {
    return this.current.get(path);
  }

  create(path: string, inode: SimInode): void {
    this.change(directoryOf(path), (names) => names.set(path, inode));
  }

  rename(from: string, to: string): void {
    this.change(directoryOf(to), (names) => {
      const inode = names.get(from);
      if (inode === undefined) return;
      names.delete(from);
      names.set(to, inode);
    });
  }

  remove(path: string): void {
    if (this.current.has(path)) this.change(directoryOf(path), (names) => names.delete(path));
  }

  /** Durable at once. */
  put(path: string, inode: SimInode): void {
    this.current.set(path, inode);
    this.durable.set(path, inode);
  }

  lose(path: string): void {
    this.current.delete(path);
    this.durable.delete(path);
  }

  list(directory: string): string[] {
    const prefix = directory === "" ? "" : `${directory}/`;
    const names: string[] = [];
    for (const path of this.current.keys()) {
      if (path.startsWith(prefix) && !path.slice(prefix.length).includes("/")) names.push(path.slice(prefix.length));
    }
    return names.sort(ascending);
  }

  paths(): string[] {
    return [...this.current.keys()].sort(ascending);
  }

  inodes(): SimInode[] {
    return this.paths().flatMap((path) => this.current.get(path) ?? []);
  }

  /** The changes that a sync of the directory which begins now covers. */
  pendingIn(directory: string): readonly Change[] {
    return this.pending.filter((change) => change.directory === directory);
  }

  commit(directory: string, covered: readonly Change[]): void {
    for (const change of covered) if (this.pending.includes(change)) change.apply(this.durable);
    this.pending = this.pending.filter((change) => change.directory !== directory || !covered.includes(change));
  }

  /** Of each directory's changes a first part survives, as in a file system's journal. */
  crash(survivors: (count: number) => number): void {
    const directories = [...new Set(this.pending.map(({ directory }) => directory))].sort(ascending);
    for (const directory of directories) {
      const changes = this.pendingIn(directory);
      for (const change of changes.slice(0, survivors(changes.length))) change.apply(this.durable);
    }
    this.pending = [];
    this.current = new Map(this.durable);
  }

  private change(directory: string, apply: (names: Map<string, SimInode>) => void): void {
    apply(this.current);
    this.pending.push({ directory, apply });
  }
}
