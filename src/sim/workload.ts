import { isUnumError } from "../base/index.ts";
import type { Prng } from "../base/index.ts";
import { key, op, text } from "../api/index.ts";
import type { Entry, KV, UnumHandle } from "../api/index.ts";
import type { History, Operation, Outcome, Result, Seen, Watching } from "./history.ts";

/** What a client needs of the machine that it runs on. */
export interface ClientHost {
  readonly name: string;
  readonly prng: Prng;
  /** Virtual time, for reading. */
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

/** What `--workload` may name. */
export const workloadNames: readonly string[] = ["kv"];

export type OperationKind = Operation["kind"];

/** What the clients of a run do. */
export interface Workload {
  readonly registers: number;
  readonly lists: number;
  /** How many things each client does at a time. */
  readonly lanes: number;
  readonly thinkMsMax: number;
  readonly timeoutMs: number;
  readonly weights: Readonly<Record<OperationKind, number>>;
  /** Stale reads among the reads, of 100. */
  readonly stalePercent: number;
  /** Each client talks to one node only, whatever it leads. */
  readonly pinned: boolean;
  readonly watches: number;
  /** How large a value may be; most are small. */
  readonly valueBytesMax: number;
}

/** Swarm-style, as the faults are. */
export function drawWorkload(prng: Prng): Workload {
  const weight = (): number => prng.pick([0, 1, 3, 10]);
  return {
    registers: prng.pick([1, 3, 8]),
    lists: prng.pick([1, 2]),
    lanes: prng.pick([1, 1, 2, 3]),
    thinkMsMax: prng.pick([100, 300, 1_000]),
    timeoutMs: prng.pick([1_000, 3_000, 10_000]),
    weights: { get: 3 + weight(), put: 3 + weight(), delete: weight(), append: weight(), range: weight(), txn: weight() },
    stalePercent: prng.pick([0, 10, 50]),
    pinned: prng.chance(1, 3),
    watches: prng.pick([0, 1, 2]),
    valueBytesMax: prng.pick([0, 0, 1_000, 30_000]),
  };
}

/** A client's work until `stop`, written into the history. `violation` hears of what no client may ever see. */
export class Client {
  readonly host: ClientHost;
  readonly handle: UnumHandle;
  private readonly kv: KV<string>;
  private readonly history: History;
  private readonly workload: Workload;
  private readonly violation: (text: string) => void;
  private readonly kinds: readonly OperationKind[];
  /** Revisions that this client saw lately, per key, for conditions that sometimes hold. */
  private readonly seen = new Map<string, number>();
  private written = 0;
  private stopped = false;

  constructor(host: ClientHost, handle: UnumHandle, history: History, workload: Workload, violation: (text: string) => void) {
    this.host = host;
    this.handle = handle;
    this.kv = handle.kv.with(text);
    this.history = history;
    this.workload = workload;
    this.violation = violation;
    this.kinds = (Object.entries(workload.weights) as [OperationKind, number][]).flatMap(([kind, weight]) =>
      new Array<OperationKind>(weight).fill(kind),
    );
  }

  start(): void {
    for (let lane = 0; lane < this.workload.lanes; lane++) void this.work();
    for (let watch = 0; watch < this.workload.watches; watch++) void this.follow(watch);
  }

  /** Nothing new is begun. */
  stop(): void {
    this.stopped = true;
  }

  private async work(): Promise<void> {
    while (!this.stopped) {
      await this.host.sleep(this.host.prng.between(0, this.workload.thinkMsMax));
      if (!this.stopped) await this.run(this.draw());
    }
  }

  /** One operation, from call to answer. */
  async run(operation: Operation): Promise<Outcome> {
    const call = this.history.call(this.host.name, operation, this.host.nowMs());
    try {
      const result = await this.perform(operation);
      this.history.ok(call, result, this.host.nowMs());
      this.remember(operation, result);
    } catch (error) {
      this.failed(call, error);
    }
    return call.outcome;
  }

  private failed(call: Parameters<History["ok"]>[0], error: unknown): void {
    if (!isUnumError(error)) {
      this.violation(`${this.host.name} got an error that is not ours: ${error instanceof Error ? error.stack : String(error)}`);
      this.history.failed(call, "unknown", String(error), this.host.nowMs());
    } else if (error.code === "CONFLICT") this.history.ok(call, { kind: "conflict" }, this.host.nowMs());
    else {
      const { kind } = call.operation;
      const outcome = kind === "get" || kind === "range" ? "not-applied" : error.outcome;
      this.history.failed(call, outcome, `${error.code}: ${error.message}`, this.host.nowMs());
    }
  }

  private async perform(operation: Operation): Promise<Result> {
    const { kv } = this;
    const options = { timeout: this.workload.timeoutMs };
    switch (operation.kind) {
      case "get":
        return {
          kind: "entry",
          entry: toSeen(await kv.get<string>(operation.key, { ...options, consistency: operation.stale ? "stale" : "linearizable" })),
        };
      case "put": {
        const guard = operation.ifRevision === undefined ? {} : { ifRevision: operation.ifRevision };
        const { revision } = await kv.put(operation.key, pad(operation.value), { ...options, ...guard });
        return { kind: "written", revision, existed: true };
      }
      case "delete": {
        const guard = operation.ifRevision === undefined ? {} : { ifRevision: operation.ifRevision };
        const { revision, deleted } = await kv.delete(operation.key, { ...options, ...guard });
        return { kind: "written", revision, existed: deleted > 0 };
      }
      case "append":
        return {
          kind: "entry",
          entry: toSeen(await kv.update<string>(operation.key, (value) => `${value ?? ""}${operation.item};`, options)),
        };
      case "range": {
        const page = await kv.range<string>(
          { prefix: operation.prefix },
          { ...options, consistency: operation.stale ? "stale" : "linearizable" },
        );
        return { kind: "page", revision: page.revision, entries: page.entries.map((entry) => toSeen(entry) as Seen) };
      }
      case "txn": {
        const result = await kv.txn(
          {
            if: operation.compare.map((compare) =>
              compare.revision === 0 ? key(compare.key).missing() : key(compare.key).revision(compare.revision),
            ),
            do: operation.puts.map((put) => op.put(put.key, pad(put.value))),
          },
          options,
        );
        return result.ok ? { kind: "written", revision: result.revision, existed: true } : { kind: "conflict" };
      }
    }
  }

  private remember(operation: Operation, result: Result): void {
    if (result.kind === "entry" && "key" in operation) this.seen.set(operation.key, result.entry?.revision ?? 0);
    if (result.kind === "page") for (const entry of result.entries) this.seen.set(entry.key, entry.revision);
    if (result.kind === "written" && operation.kind === "put") this.seen.set(operation.key, result.revision);
    if (result.kind === "written" && operation.kind === "txn") for (const put of operation.puts) this.seen.set(put.key, result.revision);
  }

  private draw(): Operation {
    const { prng } = this.host;
    const { lists, registers, stalePercent } = this.workload;
    const register = `r${prng.below(registers)}`;
    const list = `l${prng.below(lists)}`;
    const stale = prng.chance(stalePercent, 100);
    const kind = prng.pick(this.kinds);
    switch (kind) {
      case "get":
        return { kind, key: prng.chance(1, 4) ? list : register, stale };
      case "put":
        return { kind, key: register, value: this.value(), ifRevision: this.condition(register) };
      case "delete":
        return { kind, key: register, ifRevision: this.condition(register) };
      case "append":
        return { kind, key: list, item: `${this.host.name}.${this.written++}` };
      case "range":
        return { kind, prefix: prng.pick(["", "r", "l"]), stale };
      case "txn": {
        const keys = prng.shuffle(Array.from({ length: registers }, (_, i) => `r${i}`)).slice(0, prng.between(1, 3));
        const compare = keys.filter(() => prng.chance(1, 2)).map((name) => ({ key: name, revision: this.seen.get(name) ?? 0 }));
        const puts = keys.map((name) => ({ key: name, value: this.value() }));
        return { kind, compare, puts };
      }
    }
  }

  private condition(name: string): number | undefined {
    const { prng } = this.host;
    if (prng.chance(1, 2)) return undefined;
    return prng.chance(1, 8) ? 0 : (this.seen.get(name) ?? 0);
  }

  /** A value of its own for each write; its length is part of it, so that what comes back can be checked to the last byte. */
  private value(): string {
    const { prng } = this.host;
    const { valueBytesMax } = this.workload;
    const bytes = valueBytesMax > 0 && prng.chance(1, 4) ? prng.below(valueBytesMax) : 0;
    return `${this.host.name}.${this.written++}/${bytes}`;
  }

  /** A watch that goes on to the end of the run, or is closed on the way. */
  private async follow(number: number): Promise<void> {
    const { prng } = this.host;
    await this.host.sleep(number === 0 ? 0 : prng.below(8_000));
    if (this.stopped) return;
    const from = prng.chance(1, 3) ? 1 + prng.below(Math.max(1, ...this.seen.values())) : 0;
    const watching = this.history.watch(this.host.name, prng.pick(["", "r", "l"]), from);
    const watch = this.kv.watch<string>({ prefix: watching.prefix }, from === 0 ? {} : { from });
    watch.started.then(
      (revision) => this.history.started(watching, revision),
      () => undefined,
    );
    if (prng.chance(1, 4)) void this.host.sleep(prng.below(10_000)).then(() => watch.close());
    try {
      for await (const change of watch) {
        watching.changes.push({
          revision: change.revision,
          events: change.events.map((event) => ({ key: event.key, value: event.kind === "put" ? unpad(event.entry.value) : undefined })),
        });
      }
      watching.ended = "closed";
    } catch (error) {
      this.watchFailed(watching, error);
    }
  }

  private watchFailed(watching: Watching, error: unknown): void {
    watching.ended = isUnumError(error, "COMPACTED") ? "compacted" : "failed";
    watching.error = String(error);
    if (watching.ended === "failed") this.violation(`a watch of ${this.host.name} ended with ${String(error)}`);
  }
}

function toSeen(entry: Entry<string> | undefined): Seen | undefined {
  return entry === undefined ? undefined : { key: entry.key, value: unpad(entry.value), revision: entry.revision };
}

/** "name/5" becomes "name/5:" and five letters. */
function pad(value: string): string {
  const bytes = Number(value.slice(value.indexOf("/") + 1));
  return `${value}:${"x".repeat(bytes)}`;
}

/** The value that was padded; what is not as `pad` made it comes back as it is, and no checker will know it. */
export function unpad(stored: string): string {
  const end = stored.indexOf(":");
  if (end < 0) return stored;
  const value = stored.slice(0, end);
  return pad(value) === stored ? value : `damaged ${stored.slice(0, 60)}`;
}
