import { UnumError, compareBytes, latin1Decode, utf8Decode, utf8Encode } from "../base/index.ts";
import { StreamError } from "../ports/index.ts";
import type { Child, ChildExit, Clock, Output, Signal, SpawnRequest } from "../ports/index.ts";
import type {
  Client,
  ClusterStatus,
  NodeStatus,
  KeySpan,
  MemberStatus,
  PutOptions,
  Store,
  StoredChange,
  StoredEntry,
  Txn,
  TxnOutcome,
} from "./client.ts";
import type { CliContext } from "./context.ts";

/** A context without an operating system: what commands print, read and ask is in its fields. */
export class FakeWorld {
  readonly out: string[] = [];
  readonly err: string[] = [];
  readonly files = new Map<string, Uint8Array>();
  readonly environment: Record<string, string> = {};
  readonly alive = new Set<number>();
  readonly takenPorts = new Set<number>();
  readonly connected: string[] = [];
  readonly children: FakeChild[] = [];
  /** Other programs that were run, and the variables that they were given. */
  readonly ran: string[] = [];
  clock: Clock = {
    now: () => 0,
    wall: () => 0,
    after: () => ({ cancel: () => undefined }),
    defer: (callback) => callback(),
    deferLast: (callback) => callback(),
  };
  readonly store = new FakeStore();
  input = "";
  terminal = false;
  unreachable = false;
  status: ClusterStatus = fakeStatus(3);

  context(): CliContext {
    return {
      version: "1.2.3",
      stdout: this.output(this.out),
      stderr: this.output(this.err),
      stdin: {
        terminal: this.terminal,
        readAll: async () => utf8Encode(this.input),
        readLine: async () => this.input.split("\n")[0],
        onKey: () => () => undefined,
        onEnd: () => undefined,
      },
      clock: this.clock,
      random: { bytes: (length) => new Uint8Array(length) },
      processes: {
        pid: 4242,
        environment: this.environment,
        directory: "/home/somebody",
        spawn: (request) => {
          const child = new FakeChild(request);
          this.children.push(child);
          return child;
        },
        run: ({ args, environment, program }) => {
          this.ran.push([program, ...args].join(" "), ...Object.entries(environment ?? {}).map(([name, value]) => `${name}=${value}`));
          return { pid: 99, kill: () => true, exited: Promise.resolve({ code: program === "false" ? 1 : 0, signal: null }) };
        },
        alive: (pid) => this.alive.has(pid),
        onSignal: () => () => undefined,
      },
      files: this.fileSystem(),
      streams: {
        listen: async (address) => {
          if (this.takenPorts.has(address.port)) throw new StreamError("in-use", "taken");
          return { address, close: async () => undefined };
        },
      },
      connect: async (endpoints) => {
        this.connected.push(endpoints.join(","));
        if (this.unreachable) throw new UnumError("UNAVAILABLE");
        return this.client();
      },
      etcdVersion: async () => "3.4.23",
      selfSigned: async () => ({ certificate: "a certificate", key: "a key" }),
      start: () => Promise.reject(new UnumError("DATA_DIR_LOCKED", "Process 77 uses .unum/data.")),
      offline: {
        restore: async (request) => {
          for await (const chunk of request.backup) this.files.set(`${request.data}/restored`, chunk);
          return { cluster: "00000000000000bb", keyspaces: [{ name: "default", revision: 1_099_511_627_786, keys: 2 }] };
        },
        planRecovery: async () => ({
          cluster: "00000000000000aa",
          name: "n1",
          groups: [{ group: 1, name: "default", lastTerm: 3, lastIndex: 1204, commit: 1200, revision: 900, votersLost: ["n2", "n3"] }],
          keyspacesLost: ["orders"],
        }),
        recover: async ({ data }) => {
          this.files.set(`${data}/recovered`, new Uint8Array(0));
          return { kept: `${data}.before-recover` };
        },
      },
    };
  }

  private output(lines: string[]): Output {
    return {
      terminal: this.terminal,
      columns: 100,
      rows: 30,
      write: (data) => {
        lines.push(typeof data === "string" ? data : utf8Decode(data));
      },
      drained: async () => undefined,
      onResize: () => () => undefined,
    };
  }

  private fileSystem(): CliContext["files"] {
    const { files } = this;
    return {
      read: async (path) => files.get(path),
      write: async (path, bytes) => void files.set(path, bytes),
      exists: async (path) => files.has(path),
      stream: async function* (path) {
        yield files.get(path) ?? new Uint8Array(0);
      },
      create: async (path) => {
        let text = "";
        return {
          write: async (bytes) => {
            text += utf8Decode(bytes);
          },
          finish: async () => void files.set(path, utf8Encode(text)),
          abandon: async () => undefined,
        };
      },
      remove: async (path) => void files.delete(path),
      makeTemporary: async (prefix) => `/tmp/${prefix}x`,
    };
  }

  private client(): Client {
    return {
      kv: this.store,
      keyspace: () => new FakeStore(),
      status: async () => this.status,
      // Nobody looks at what it says; that somebody answers is enough.
      nodeStatus: async () => ({}) as NodeStatus,
      members: async () => this.status.members,
      removeMember: async (id) => {
        const member = this.status.members.find((item) => item.node === id);
        if (member === undefined) throw new UnumError("MEMBER_NOT_FOUND");
        return { ...member, state: "removed" };
      },
      transferLeader: async (options) => [{ group: 1, from: nodeId(1), to: options?.to ?? nodeId(2) }],
      lock: async () => ({ fence: 7, held: true, signal: neverAborted, close: async () => undefined }),
      election: () => ({
        run: (work) => {
          const done = work({ fence: 8, held: true, signal: neverAborted });
          return { closed: done, close: () => done };
        },
        observe: async function* () {
          yield undefined;
          yield { fence: 8, data: { name: "n1" } };
        },
      }),
      schedules: async () => [
        {
          name: "cleanup",
          when: "0 3 * * *",
          timezone: "Europe/Berlin",
          disagreement: ["0 4 * * *"],
          participants: 3,
          next: new Date("2026-01-02T02:00:00Z"),
          history: [{ at: new Date("2026-01-01T02:00:00Z"), attempt: 2, outcome: "completed", ranMs: 1200 }],
        },
      ],
      snapshotSave: async function* () {
        yield utf8Encode("backup");
      },
      close: async () => undefined,
    };
  }
}

const neverAborted = { aborted: false, addEventListener: () => undefined };

const nodeId = (at: number): string => `000000000000000${at}`;

/** Three members, of which `up` answer; n1 leads while a majority is up. */
export function fakeStatus(up: number, corrupt = false): ClusterStatus {
  const members = [1, 2, 3].map(
    (at): MemberStatus => ({
      node: nodeId(at),
      name: `n${at}`,
      address: `127.0.0.1:${7399 + at}`,
      zone: "abc".charAt(at - 1),
      role: "voter",
      state: at <= up ? "up" : "down",
      downMs: at <= up ? null : 4321,
      leaving: false,
      ephemeral: false,
      featureLevel: 1,
      report: null,
    }),
  );
  const quorum = up >= 2;
  return {
    cluster: "7f3a000000000000",
    node: nodeId(1),
    name: "n1",
    featureLevel: 1,
    insecure: false,
    revision: 1204,
    voters: 3,
    votersUp: up,
    quorum,
    canLose: Math.max(0, up - 2),
    members,
    groups: [
      {
        group: 1,
        name: "default",
        leader: quorum ? nodeId(1) : null,
        term: 2,
        commit: 1204,
        applied: 1204,
        revision: 1204,
        voters: members.map((member) => member.node),
        learners: [],
        votersUp: up,
        quorum,
        canLose: Math.max(0, up - 2),
        bytes: 0,
        maxBytes: 0,
        corrupt,
        writesStopped: false,
      },
    ],
  };
}

/** What a member says of itself when nothing is wrong, but for `more`. */
export function fakeReport(more: Partial<NodeStatus> = {}): NodeStatus {
  return {
    node: nodeId(1),
    name: "n1",
    address: "127.0.0.1:7400",
    zone: "",
    cluster: "7f3a000000000000",
    version: "0.0.0",
    featureLevel: 1,
    insecure: false,
    ephemeral: false,
    uptimeMs: 1,
    memoryBytes: 1,
    memoryUsedBytes: 1,
    memoryBudgetBytes: 1,
    diskFreeBytes: 1,
    clients: 0,
    watches: 0,
    clockOffsetMs: 3,
    declinesLeadership: false,
    operations: { commands: 0, queries: 0, keepAlives: 0, refused: 0, expired: 0, forwarded: 0 },
    replicas: [
      {
        group: 1,
        name: "default",
        replica: 1,
        role: "follower",
        term: 2,
        leader: nodeId(2),
        commit: 5,
        applied: 5,
        lastIndex: 5,
        revision: 3,
        suspect: false,
        state: "agreed",
        agreedIndex: 4,
        voters: [],
        writesStopped: false,
        logBytes: 0,
        memoryBytes: 0,
      },
    ],
    ...more,
  };
}

/** A keyspace on one page of memory. */
export class FakeStore implements Store {
  private readonly entries = new Map<string, StoredEntry>();
  private revision = 1;
  readonly changes: StoredChange[] = [];

  async get(key: string): Promise<StoredEntry | undefined> {
    return this.entries.get(key);
  }

  async put(key: string, value: Uint8Array, options: PutOptions = {}): Promise<{ revision: number }> {
    const before = this.entries.get(key);
    if (options.ifRevision !== undefined && options.ifRevision !== (before?.revision ?? 0))
      throw new UnumError("CONFLICT", `"${key}" is at revision ${before?.revision ?? 0}.`);
    const revision = ++this.revision;
    const entry = {
      key,
      keyBytes: utf8Encode(key),
      value,
      revision,
      createRevision: before?.createRevision ?? revision,
      version: (before?.version ?? 0) + 1,
    };
    this.entries.set(key, entry);
    this.changes.push({ revision, events: [{ kind: "put", key, keyBytes: entry.keyBytes, entry }] });
    return { revision };
  }

  async delete(target: string | KeySpan): Promise<{ revision: number; deleted: number }> {
    const gone = typeof target === "string" ? (this.entries.has(target) ? [target] : []) : this.select(target).map((entry) => entry.key);
    if (gone.length > 0) this.revision++;
    for (const key of gone) this.entries.delete(key);
    if (gone.length > 0)
      this.changes.push({ revision: this.revision, events: gone.map((key) => ({ kind: "delete", key, keyBytes: utf8Encode(key) })) });
    return { revision: this.revision, deleted: gone.length };
  }

  async range(range: KeySpan, options: { readonly limit?: number | undefined } = {}): ReturnType<Store["range"]> {
    const all = this.select(range);
    const entries = all.slice(0, options.limit ?? 1000);
    return { revision: this.revision, entries, more: entries.length < all.length, count: all.length };
  }

  watch(): ReturnType<Store["watch"]> {
    const changes = this.changes.values();
    return {
      started: Promise.resolve(this.revision + 1),
      close: async () => undefined,
      async *[Symbol.asyncIterator]() {
        yield* changes;
      },
    };
  }

  async txn(txn: Txn): ReturnType<Store["txn"]> {
    const ok = txn.compare.every((compare) => compare.target === "exists" && this.entries.has(compare.key) === compare.exists);
    const results: TxnOutcome[] = [];
    for (const operation of ok ? txn.success : txn.failure) {
      if (operation.kind === "put") {
        await this.put(operation.key, operation.value);
        results.push({ kind: "put" });
      } else if (operation.kind === "get") results.push({ kind: "get", entry: this.entries.get(operation.key) });
      else if (operation.kind === "delete") results.push({ kind: "delete", deleted: (await this.delete(operation.target)).deleted });
      else results.push({ kind: "range", entries: this.select(operation.range), more: false });
    }
    return { revision: this.revision, ok, results };
  }

  private select(range: KeySpan): StoredEntry[] {
    const inside = (entry: StoredEntry): boolean => {
      if ("prefix" in range) return entry.key.startsWith(range.prefix);
      const key = latin1Decode(entry.keyBytes);
      return key >= latin1Decode(utf8Encode(range.from)) && (range.to === undefined || key < latin1Decode(utf8Encode(range.to)));
    };
    return [...this.entries.values()].filter(inside).sort((a, b) => compareBytes(a.keyBytes, b.keyBytes));
  }
}

/** A process that ends when it is told to, and not otherwise. */
export class FakeChild implements Child {
  readonly pid = 1;
  readonly request: SpawnRequest;
  readonly signals: Signal[] = [];
  /** Ends on SIGTERM, as a healthy node does. */
  obedient = true;
  readonly exited: Promise<ChildExit>;
  private settle: (exit: ChildExit) => void = () => undefined;

  constructor(request: SpawnRequest) {
    this.request = request;
    this.exited = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  kill(signal: Signal): boolean {
    this.signals.push(signal);
    if (signal === "SIGKILL" || (signal === "SIGTERM" && this.obedient)) this.settle({ code: null, signal });
    return true;
  }

  /** Ends by itself. */
  end(code: number, lastLine: string): void {
    this.request.onErrorLine?.(lastLine);
    this.settle({ code, signal: null });
  }
}

/** Time passes as fast as somebody waits for it. */
export function fastClock(): Clock {
  let now = 0;
  return {
    now: () => now,
    wall: () => now,
    after: (delayMs, callback) => {
      let live = true;
      setImmediate(() => {
        now += delayMs;
        if (live) callback();
      });
      return {
        cancel: () => {
          live = false;
        },
      };
    },
    defer: (callback) => callback(),
    deferLast: (callback) => callback(),
  };
}
