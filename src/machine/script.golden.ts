import { Writer } from "../base/index.ts";
import type { GoldenCommand } from "../../tools/golden.ts";
import {
  commandBytes,
  decodeReply,
  decodeWatchChange,
  encodeWatchRequest,
  queryBytes,
  type Command,
  type Compare,
  type KeyValue,
  type Operation,
  type OperationResult,
  type Reply,
} from "./commands/index.ts";
import { keyspaceFactory, type KeyspaceMachine, type KeyspaceOptions } from "./keyspace.ts";
import type { LeaderTime, Watcher } from "./types.ts";

const none = new Uint8Array(0);

function bytesOf(text: string): Uint8Array {
  return Uint8Array.from([...text].map((character) => character.charCodeAt(0)));
}

function textOf(bytes: Uint8Array): string {
  return bytes.length > 40 ? `(${bytes.length} bytes)` : String.fromCharCode(...bytes);
}

function after(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

function endOf(command: GoldenCommand, key: string): string {
  if (command.has("prefix")) return after(key);
  if (command.has("from-key")) return "\0";
  return command.text("end") ?? "";
}

function parseWords(line: string): { words: string[]; option: (name: string) => string | undefined; has: (name: string) => boolean } {
  const words = line.trim().split(/\s+/);
  return {
    words,
    option: (name) => words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1),
    has: (name) => words.includes(name),
  };
}

/** One operation of a transaction's body: the words of the command of the same name. */
function parseOperation(line: string, nested: readonly string[]): Operation {
  const { words, option, has } = parseWords(line);
  const [verb = "", word = "", value = ""] = words;
  const key = word === '""' ? "" : word;
  const end = has("prefix") ? after(key) : has("from-key") ? "\0" : (option("end") ?? "");
  if (verb === "put") {
    return {
      kind: "put",
      key,
      value: has("ignore-value") ? none : bytesOf(value),
      lease: BigInt(option("lease") ?? 0),
      previous: has("previous"),
      ignoreValue: has("ignore-value"),
      ignoreLease: has("ignore-lease"),
    };
  }
  if (verb === "delete") return { kind: "delete", key, end, previous: has("previous") };
  if (verb === "range") {
    return {
      kind: "range",
      key,
      end,
      revision: Number(option("revision") ?? 0),
      limit: Number(option("limit") ?? 0),
      sort: undefined,
      keysOnly: has("keys-only"),
      countOnly: has("count-only"),
      minModRevision: 0,
      maxModRevision: 0,
      minCreateRevision: 0,
      maxCreateRevision: 0,
    };
  }
  if (verb === "enqueue") return { kind: "enqueue", queue: key, payload: bytesOf(value) };
  if (verb === "txn") return parseTxn(nested);
  throw new Error(`no operation ${verb}`);
}

const relations = { "=": "equal", "!=": "not-equal", ">": "greater", "<": "less" } as const;

/** "if TARGET KEY RELATION VALUE [prefix]" */
function parseCompare(line: string): Compare {
  const { words, has, option } = parseWords(line);
  const [target = "", key = "", relation = "", operand = ""] = words;
  if (target !== "version" && target !== "create" && target !== "mod" && target !== "value" && target !== "lease")
    throw new Error(`no target ${target}`);
  const isNumber = target !== "value" && target !== "lease";
  return {
    target,
    key,
    end: has("prefix") ? after(key) : (option("end") ?? ""),
    relation: relations[relation as keyof typeof relations],
    number: isNumber ? Number(operand) : 0,
    lease: target === "lease" ? BigInt(operand) : 0n,
    value: target === "value" ? bytesOf(operand) : none,
  };
}

/** Lines "if …", "then …", "else …"; a nested transaction's lines follow its own, indented further. */
function parseTxn(lines: readonly string[]): Extract<Operation, { kind: "txn" }> {
  const compare: Compare[] = [];
  const success: Operation[] = [];
  const failure: Operation[] = [];
  for (let i = 0; i < lines.length; ) {
    const line = lines[i++] as string;
    const nested: string[] = [];
    while (i < lines.length && (lines[i] as string).startsWith("  ")) nested.push((lines[i++] as string).slice(2));
    const [word = "", rest = ""] = [line.split(" ")[0], line.slice(line.indexOf(" ") + 1)];
    if (word === "if") compare.push(parseCompare(rest));
    else (word === "then" ? success : failure).push(parseOperation(rest, nested));
  }
  return { kind: "txn", compare, success, failure };
}

function describeEntry(entry: KeyValue): string {
  const lease = entry.lease === 0n ? "" : ` lease=${entry.lease}`;
  return `${JSON.stringify(entry.key)} = ${JSON.stringify(textOf(entry.value))} create=${entry.createRevision} mod=${entry.modRevision} version=${entry.version}${lease}`;
}

function describeResult(result: OperationResult, indent: string): string {
  switch (result.kind) {
    case "put":
      return `${indent}put${result.previous === undefined ? "" : `, was ${describeEntry(result.previous)}`}`;
    case "delete":
      return [`${indent}deleted ${result.deleted}`, ...result.previous.map((entry) => `${indent}  was ${describeEntry(entry)}`)].join("\n");
    case "range":
      return [
        `${indent}${result.count} keys${result.more ? ", more" : ""}`,
        ...result.entries.map((entry) => `${indent}  ${describeEntry(entry)}`),
      ].join("\n");
    default:
      return [
        `${indent}${result.succeeded ? "then" : "else"}`,
        ...result.results.map((inner) => describeResult(inner, `${indent}  `)),
      ].join("\n");
  }
}

export function describeReply(reply: Reply): string {
  if (!reply.ok) {
    const details = Object.entries(reply.details)
      .map(([name, value]) => ` ${name}=${value}`)
      .join("");
    return `revision ${reply.revision}: ${reply.code}: ${reply.message}${details === "" ? "" : ` (${details.trim()})`}`;
  }
  const { result } = reply;
  const head = `revision ${reply.revision}: `;
  switch (result.kind) {
    case "put":
    case "delete":
    case "range":
    case "txn":
      return head + describeResult(result, "");
    case "lease":
      return `${head}lease ${result.lease} ttl=${result.ttlMs} remaining=${result.remainingMs} keys=(${result.keys.join(", ")})`;
    case "leases":
      return `${head}leases (${result.leases.join(", ")})`;
    case "session":
      return `${head}session ${result.session}`;
    case "hash":
      return `${head}hash of 16 digits, compacted ${result.compactRevision}`;
    case "summary":
      return (
        head +
        Object.entries(result.summary)
          .map(([name, value]) => `${name}=${value}`)
          .join(" ")
      );
    default:
      return head + result.kind;
  }
}

/** Runs the verbs of the scripts in `testdata` against one keyspace, through command bytes only. */
export class KeyspaceScript {
  machine: KeyspaceMachine;
  private options: KeyspaceOptions = {};
  private index = 0;
  private timestamp = 1_000_000;
  private term = 1;
  private now = 0;
  private readonly watchers = new Map<string, Watcher>();
  private readonly told: string[] = [];
  /** Commands of an entry that is not complete yet; undefined: each command is an entry. */
  private position = -1;

  constructor() {
    this.machine = keyspaceFactory().create();
  }

  readonly run = (command: GoldenCommand): string => {
    const text = this.step(command);
    const told = this.told.splice(0).map((name) => `ready: ${name}`);
    return [text, ...told].filter((line) => line !== "").join("\n");
  };

  private step(command: GoldenCommand): string {
    const { verb } = command;
    const maker = makers[verb];
    if (maker !== undefined) return this.apply(commandBytes(maker(command), envelopeOf(command)));
    if (verb in asks) return describeReply(decodeReply(this.machine.query(queryBytes((asks[verb] as Ask)(command)))));
    switch (verb) {
      case "keyspace":
        this.options = {
          maxBytes: command.number("max-bytes"),
          historyMs: command.number("history-ms"),
          historyBytes: command.number("history-bytes"),
        };
        this.machine = keyspaceFactory(this.options).create();
        return "";
      case "bytes":
        return this.apply(bytesOf(command.body));
      case "time":
        this.timestamp += command.number("ms", 0);
        return "";
      case "entry":
        this.position = command.has("end") ? -1 : 0;
        if (command.has("end")) this.machine.publish();
        return "";
      case "snapshot":
        return this.snapshot(command.number("chunk", 100));
      case "watch":
        return this.watch(command);
      case "take":
        return this.take(command);
      case "cancel":
        this.watchers.get(command.word(0, "a name"))?.cancel();
        return "";
      default:
        return this.lead(command);
    }
  }

  private lead(command: GoldenCommand): string {
    switch (command.verb) {
      case "lead":
        this.term = command.number("term", this.term);
        this.machine.lead(this.time());
        return `term ${this.term}`;
      case "follow":
        this.machine.follow();
        return "";
      case "wait":
        this.now += command.number("ms", 0);
        return "";
      case "due": {
        const commands = this.machine.due(this.time());
        if (command.has("lost")) return `${commands.length} commands, lost`;
        return commands.length === 0 ? "nothing" : commands.map((bytes) => this.apply(bytes)).join("\n");
      }
      case "keep-alive": {
        const remaining = this.machine.keepAlive(BigInt(command.word(0, "a lease")), this.time());
        return remaining === undefined ? "no lease to renew" : `renewed for ${remaining} ms`;
      }
      default:
        throw new Error(`no verb ${command.verb}`);
    }
  }

  private time(): LeaderTime {
    return { nowMs: this.now, wallMs: this.timestamp, term: this.term };
  }

  private apply(bytes: Uint8Array): string {
    if (this.position <= 0) this.index++;
    const meta = { index: this.index, position: Math.max(0, this.position), term: this.term, timestamp: this.timestamp };
    let reply: string;
    try {
      reply = describeReply(decodeReply(this.machine.apply(bytes, meta)));
    } catch (error) {
      reply = `${(error as Error).name}: ${(error as Error).message}`;
    }
    if (this.position >= 0) this.position++;
    else this.machine.publish();
    return reply;
  }

  /** Goes on with a machine that was restored from this one's snapshot. */
  private snapshot(chunk: number): string {
    const before = this.machine.hash();
    const source = this.machine.snapshot();
    const restorer = keyspaceFactory(this.options).restore();
    for (let bytes = source.next(chunk); bytes !== undefined; bytes = source.next(chunk)) {
      for (let at = 0; at < bytes.length; at += chunk) restorer.push(bytes.slice(at, at + chunk));
    }
    this.machine = restorer.finish() as KeyspaceMachine;
    this.watchers.clear();
    return this.machine.hash() === before ? "restored with an equal hash" : "restored with ANOTHER hash";
  }

  private watch(command: GoldenCommand): string {
    const name = command.word(0, "a name");
    const key = command.word(1, "a key");
    const writer = new Writer();
    encodeWatchRequest(writer, {
      key,
      end: endOf(command, key),
      from: command.number("from", 0),
      previous: command.has("previous"),
      noPut: command.has("no-put"),
      noDelete: command.has("no-delete"),
    });
    const watcher = this.machine.watch(writer.take(), () => this.told.push(name));
    this.watchers.set(name, watcher);
    return `from revision ${watcher.startRevision}`;
  }

  private take(command: GoldenCommand): string {
    const name = command.word(0, "a name");
    const watcher = this.watchers.get(name);
    if (watcher === undefined) throw new Error(`no watcher ${name}`);
    const { items, more, ended } = watcher.take(command.number("bytes", 1_000_000));
    const lines = items.map((item) => {
      const change = decodeWatchChange(item);
      const events = change.events.map(({ kind, entry, previous }) => {
        const was = previous === undefined ? "" : `, was ${describeEntry(previous)}`;
        return kind === "put" ? `put ${describeEntry(entry)}${was}` : `delete ${JSON.stringify(entry.key)}${was}`;
      });
      return `${change.revision}: ${events.join("; ")}`;
    });
    if (ended !== undefined) lines.push(`ended: ${describeReply(decodeReply(ended))}`);
    else lines.push(`progress ${watcher.progress}${more ? ", more" : ""}`);
    return lines.join("\n");
  }
}

function envelopeOf(command: GoldenCommand): { session: bigint; sequence: number; floor: number } {
  return { session: BigInt(command.text("session") ?? 0), sequence: command.number("sequence", 0), floor: command.number("floor", 1) };
}

type Maker = (command: GoldenCommand) => Command;
type Ask = (command: GoldenCommand) => Parameters<typeof queryBytes>[0];

const makers: Readonly<Record<string, Maker>> = {
  put: (command) => {
    const [key = "", value = ""] = command.words.filter((word) => !["previous", "ignore-value", "ignore-lease"].includes(word));
    return {
      kind: "put",
      key,
      value: command.text("size") === undefined ? bytesOf(value) : new Uint8Array(command.number("size", 0)),
      lease: BigInt(command.text("lease") ?? 0),
      previous: command.has("previous"),
      ignoreValue: command.has("ignore-value"),
      ignoreLease: command.has("ignore-lease"),
    };
  },
  delete: (command) => ({
    kind: "delete",
    key: command.words[0] ?? "",
    end: endOf(command, command.words[0] ?? ""),
    previous: command.has("previous"),
  }),
  txn: (command) => parseTxn(command.body.split("\n")),
  compact: (command) => ({ kind: "compact", revision: Number(command.word(0, "a revision")) }),
  grant: (command) => ({ kind: "lease-grant", lease: BigInt(command.text("lease") ?? 0), ttlMs: command.number("ttl", 5000) }),
  revoke: (command) => ({ kind: "lease-revoke", lease: BigInt(command.word(0, "a lease")), term: command.number("term", 0) }),
  "session-open": () => ({ kind: "session-open" }),
  "session-close": (command) => ({ kind: "session-close", session: BigInt(command.word(0, "a session")) }),
  checkpoint: () => ({ kind: "checkpoint" }),
  activate: (command) => ({ kind: "activate", featureLevel: Number(command.word(0, "a level")) }),
  guarded: (command) => {
    const [source = "", name = "", fence = ""] = command.words;
    const operation = command.body === "" ? undefined : parseOperation(...firstOf(command.body));
    if (operation?.kind === "range" || operation?.kind === "enqueue") throw new Error("a guarded command writes");
    return { kind: "guarded", source, name, fence: Number(fence), operation };
  },
  configure: (command) => ({
    kind: "configure",
    maxBytes: command.number("max-bytes", 0),
    historyMs: command.number("history-ms", 0),
    historyBytes: command.number("history-bytes", 0),
  }),
};

/** The first line is the operation; those of a transaction follow it, indented. */
function firstOf(body: string): [string, string[]] {
  const [first = "", ...rest] = body.split("\n");
  return [first, rest.map((line) => line.slice(2))];
}

function rangeOf(command: GoldenCommand): Extract<Operation, { kind: "range" }> {
  const [target, order] = command.list("sort");
  const key = command.words[0] ?? "";
  return {
    kind: "range",
    key,
    end: endOf(command, key),
    revision: command.number("revision", 0),
    limit: command.number("limit", 0),
    sort: target === undefined ? undefined : { target: target as "key", descending: order === "descending" },
    keysOnly: command.has("keys-only"),
    countOnly: command.has("count-only"),
    minModRevision: command.number("min-mod", 0),
    maxModRevision: command.number("max-mod", 0),
    minCreateRevision: command.number("min-create", 0),
    maxCreateRevision: command.number("max-create", 0),
  };
}

const asks: Readonly<Record<string, Ask>> = {
  range: rangeOf,
  read: (command) => parseTxn(command.body.split("\n")),
  lease: (command) => ({ kind: "lease", lease: BigInt(command.word(0, "a lease")), keys: command.has("keys") }),
  leases: () => ({ kind: "leases" }),
  hash: (command) => ({ kind: "hash", revision: command.number("revision", 0) }),
  summary: () => ({ kind: "summary" }),
};
