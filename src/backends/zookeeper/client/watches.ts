import type { NodeEvent, NodeEventKind, WatchPaths } from "./messages.ts";

/**
 * What a watch tells.
 *
 * A node's event comes before any answer that shows what it announces. It says that something happened, not what: read again.
 * "gap" (persistent watches only): the connection was lost and the watch is set again; what happened in between is told by nobody,
 * so read everything that the watch covers again. Reads that begin after it miss nothing.
 * "ended": the session is over, and the watch with it. Last call.
 */
export interface WatchEvent {
  readonly kind: NodeEventKind | "gap" | "ended";
  /** The node; of "gap" and "ended", what is watched. */
  readonly path: string;
}

export type WatchCallback = (event: WatchEvent) => void;

/** What a read leaves behind: tells one event, then it is gone. */
export type OnceKind = "data" | "exist" | "children";
/** Stays until it is removed: of one node and the list of its children, or of a whole subtree. */
export type LastingMode = "persistent" | "recursive";

interface Lasting {
  readonly mode: LastingMode;
  readonly callbacks: Set<WatchCallback>;
}

const firedBy: Readonly<Record<NodeEventKind, readonly OnceKind[]>> = {
  created: ["data", "exist"],
  changed: ["data", "exist"],
  deleted: ["data", "exist", "children"],
  children: ["children"],
};

/**
 * Whom an event concerns. Paths are those at the servers. A server keeps one watch per connection and path, however many callbacks
 * there are here.
 */
export class WatchRegistry {
  private readonly once: Readonly<Record<OnceKind, Map<string, Set<WatchCallback>>>> = {
    data: new Map(),
    exist: new Map(),
    children: new Map(),
  };
  private readonly lasting = new Map<string, Lasting>();
  private readonly tell: (callback: WatchCallback, event: WatchEvent) => void;

  /** `tell` calls the callback: with the caller's path, and whatever it throws is caught. */
  constructor(tell: (callback: WatchCallback, event: WatchEvent) => void) {
    this.tell = tell;
  }

  /** Paths that are watched, once per kind. */
  get size(): number {
    return this.lasting.size + this.once.data.size + this.once.exist.size + this.once.children.size;
  }

  modeOf(path: string): LastingMode | undefined {
    return this.lasting.get(path)?.mode;
  }

  hasOnce(path: string): boolean {
    return this.once.data.has(path) || this.once.exist.has(path) || this.once.children.has(path);
  }

  addOnce(kind: OnceKind, path: string, callback: WatchCallback): void {
    const callbacks = this.once[kind].get(path);
    if (callbacks === undefined) this.once[kind].set(path, new Set([callback]));
    else callbacks.add(callback);
  }

  addLasting(mode: LastingMode, path: string, callback: WatchCallback): void {
    const lasting = this.lasting.get(path);
    if (lasting === undefined || lasting.mode !== mode) this.lasting.set(path, { mode, callbacks: new Set([callback]) });
    else lasting.callbacks.add(callback);
  }

  /** Without a callback, all of the path. True: none is left, so the server's watch can go. */
  remove(path: string, callback: WatchCallback | undefined): boolean {
    const lasting = this.lasting.get(path);
    if (lasting === undefined) return true;
    if (callback === undefined) lasting.callbacks.clear();
    else lasting.callbacks.delete(callback);
    if (lasting.callbacks.size > 0) return false;
    this.lasting.delete(path);
    return true;
  }

  dispatch(event: NodeEvent): void {
    const told = new Set<WatchCallback>();
    const collect = (callbacks: Iterable<WatchCallback> | undefined): void => {
      for (const callback of callbacks ?? []) told.add(callback);
    };
    for (const kind of firedBy[event.kind]) {
      collect(this.once[kind].get(event.path));
      this.once[kind].delete(event.path);
    }
    collect(this.lasting.get(event.path)?.callbacks);
    if (event.kind !== "children") {
      for (const path of above(event.path)) {
        const lasting = this.lasting.get(path);
        if (lasting?.mode === "recursive") collect(lasting.callbacks);
      }
    }
    for (const callback of told) this.tell(callback, event);
  }

  /** The lasting ones are set again on a new connection. */
  tellGap(): void {
    for (const [path, { callbacks }] of [...this.lasting])
      for (const callback of [...callbacks]) this.tell(callback, { kind: "gap", path });
  }

  /** Forgets all. */
  end(): void {
    const all: [string, Iterable<WatchCallback>][] = [...this.lasting].map(([path, { callbacks }]) => [path, callbacks]);
    for (const paths of Object.values(this.once)) {
      all.push(...paths);
      paths.clear();
    }
    this.lasting.clear();
    for (const [path, callbacks] of all) for (const callback of callbacks) this.tell(callback, { kind: "ended", path });
  }

  /** What a new connection sets again, in pieces of about `bytesMax` each. */
  batches(bytesMax: number): readonly WatchPaths[] {
    const batches: WatchPaths[] = [];
    let batch = emptyPaths();
    let bytes = 0;
    const put = (kind: keyof WatchPaths, path: string): void => {
      if (bytes > 0 && bytes + path.length > bytesMax) {
        batches.push(batch);
        batch = emptyPaths();
        bytes = 0;
      }
      batch[kind].push(path);
      bytes += path.length + 4;
    };
    for (const kind of ["data", "exist", "children"] as const) for (const path of this.once[kind].keys()) put(kind, path);
    for (const [path, { mode }] of this.lasting) put(mode, path);
    if (bytes > 0) batches.push(batch);
    return batches;
  }
}

function emptyPaths(): Record<keyof WatchPaths, string[]> {
  return { data: [], exist: [], children: [], persistent: [], recursive: [] };
}

/** "/a/b" → "/a", "/". */
function* above(path: string): Iterable<string> {
  for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) yield path.slice(0, at);
  if (path !== "/") yield "/";
}
