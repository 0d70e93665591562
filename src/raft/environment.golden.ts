import { defined, replicaId, utf8Encode } from "../base/index.ts";
import type { GoldenCommand } from "../../tools/golden.ts";
import { Node, emptyConfiguration, id } from "./cluster.golden.ts";
import type { NodeOptions } from "./cluster.golden.ts";
import { describeEntries, describeProgress } from "./describe.ts";
import { decodeConfiguration, describeMessage } from "./index.ts";
import type { Configuration, ConfigurationChange, Entry, Message, ProposeResult } from "./index.ts";
import { EntryKind } from "./types.ts";

type Verb = (command: GoldenCommand) => string;

const numbers = (list: readonly string[]): number[] => list.map(Number);
const indent = (text: string): string =>
  text
    .split("\n")
    .map((line) => `  ${line}`)
    .join("\n");

/** Several replicas, a network that delivers when it is told to, and disks that persist when they are told to. */
export class Environment {
  private readonly nodes = new Map<number, Node>();
  private network: Message[] = [];
  private readonly isolated = new Set<number>();
  private lines: string[] = [];
  private quiet = false;

  readonly run = (command: GoldenCommand): string => {
    this.lines = [];
    const verb = this.verbs[command.verb];
    if (verb === undefined) throw new Error(`unknown verb ${command.verb}`);
    let result: string;
    try {
      result = verb(command);
    } catch (error) {
      if (!(error instanceof Error) || error.name !== "AssertionFailure") throw error;
      result = `assertion failed: ${error.message}`;
    }
    if (result !== "") this.lines.push(result);
    return command.has("quiet") ? "ok" : this.lines.join("\n");
  };

  private readonly verbs: Readonly<Record<string, Verb>> = {
    "add-nodes": (c) => this.addNodes(c),
    "add-node": (c) => this.addNode(c),
    campaign: (c) => this.act(c, (node) => node.raft.campaign()),
    tick: (c) => this.tick(c),
    propose: (c) => this.propose(c),
    change: (c) => this.change(c),
    read: (c) => this.read(c),
    transfer: (c) => this.act(c, (node) => (node.raft.transfer(id(c.number("to", 0))) ? "begun" : "refused")),
    "transfer-or-step-down": (c) => this.act(c, (node) => node.raft.transferOrStepDown()),
    "step-down": (c) => this.act(c, (node) => node.raft.stepDown()),
    reluctant: (c) =>
      this.act(c, (node) => {
        node.raft.isReluctant = !c.has("no-more");
      }),
    hold: (c) =>
      this.act(c, (node) => {
        node.raft.holdsCommitted = !c.has("no-more");
      }),
    skip: (c) => this.act(c, (node) => node.raft.skipped(c.number("to", 0))),
    "leader-lost": (c) => this.act(c, (node) => node.raft.leaderLost(id(c.number("leader", 0)))),
    "leader-back": (c) => this.act(c, (node) => node.raft.leaderBack(id(c.number("leader", 0)))),
    "process-ready": (c) => this.act(c, (node) => this.process(node, !c.has("no-apply"))),
    persist: (c) => this.act(c, (node) => this.persist(node, c.number("count", node.writes.length))),
    deliver: (c) => this.deliver(c),
    append: (c) => this.append(c),
    drop: (c) => this.drop(c),
    duplicate: (c) => this.duplicate(c),
    messages: () => (this.network.length === 0 ? "none" : this.network.map(describeMessage).join("\n")),
    stabilize: (c) => this.stabilize(c),
    isolate: (c) => this.isolate(c),
    heal: () => this.heal(),
    crash: (c) => this.act(c, (node) => node.crash(c.number("kept", 0))),
    restart: (c) => this.act(c, (node) => this.restart(node, c)),
    compact: (c) => this.act(c, (node) => this.compact(node, c)),
    "send-snapshot": (c) => this.act(c, (node) => this.sendSnapshot(node, c)),
    "snapshot-failed": (c) => this.act(c, (node) => node.raft.snapshotFailed(id(c.number("to", 0)))),
    supply: (c) => this.act(c, (node) => this.supply(node, c)),
    "fetch-failed": (c) => this.act(c, (node) => this.fetchFailed(node, c)),
    heartbeat: (c) => this.heartbeat(c),
    status: (c) => this.status(c),
    progress: (c) => this.act(c, (node) => this.progress(node)),
    log: (c) => this.log(c),
    applied: (c) => this.act(c, (node) => describeEntries(node.durable.entries.filter((entry) => entry.index <= node.applied))),
    uncommitted: (c) => this.act(c, (node) => `${node.raft.status().uncommittedBytes} bytes`),
    trust: (c) => this.act(c, (node) => node.raft.trust()),
  };

  private node(value: number | string): Node {
    const node = this.nodes.get(Number(value));
    if (node === undefined) throw new Error(`no node ${value}`);
    return node;
  }

  private chosen(c: GoldenCommand): Node[] {
    const ids = numbers(c.words.filter((word) => /^\d+$/.test(word)));
    return ids.length > 0 ? ids.map((value) => this.node(value)) : [...this.nodes.values()];
  }

  private act(c: GoldenCommand, action: (node: Node) => string | undefined | void): string {
    const results = this.chosen(c).map((node) => action(node) ?? "ok");
    return results.every((result) => result === "ok") ? (this.lines.length > 0 ? "" : "ok") : results.join("\n");
  }

  private nodeOptions(c: GoldenCommand): NodeOptions {
    const limits = {
      ...(c.has("append-bytes") ? { appendBytesMax: c.number("append-bytes", 0) } : {}),
      ...(c.has("inflight") ? { appendInflightMax: c.number("inflight", 0) } : {}),
      ...(c.has("inflight-bytes") ? { appendInflightBytesMax: c.number("inflight-bytes", 0) } : {}),
      ...(c.has("uncommitted-bytes") ? { uncommittedBytesMax: c.number("uncommitted-bytes", 0) } : {}),
      ...(c.has("entry-bytes") ? { entryBytesMax: c.number("entry-bytes", 0) } : {}),
      ...(c.has("cache-bytes") ? { logCacheBytesMax: c.number("cache-bytes", 0) } : {}),
    };
    return { electionTicks: c.number("election", 10), limits, ...(c.has("tail") ? { tailEntries: c.number("tail", 0) } : {}) };
  }

  private addNodes(c: GoldenCommand): string {
    const count = Number(c.word(0, "a number of nodes"));
    this.nodes.clear();
    this.network = [];
    this.isolated.clear();
    const all = Array.from({ length: count }, (_, at) => id(at + 1));
    const learners = numbers(c.list("learners")).map(replicaId);
    const configuration: Configuration = { ...emptyConfiguration, voters: all.filter((replica) => !learners.includes(replica)), learners };
    const term = c.number("term", 0);
    for (const replica of all) {
      const node = new Node(replica, configuration, "golden", this.nodeOptions(c), { index: c.number("index", 0), term });
      this.nodes.set(replica, node);
      const terms = numbers(c.list(`terms-${replica}`));
      if (terms.length > 0) this.preset(node, terms, c.number("now", Math.max(...terms)));
    }
    return this.describeNodes();
  }

  /** A log with entries of these terms, as if the replica had restarted with it. */
  private preset(node: Node, terms: readonly number[], term: number): void {
    const { durable } = node;
    terms.forEach((entryTerm, at) =>
      durable.entries.push({ index: durable.firstIndex + at, term: entryTerm, kind: EntryKind.normal, data: utf8Encode(`t${entryTerm}`) }),
    );
    durable.hardState = { term, vote: id(0), commit: 0 };
    node.crash();
    node.restart();
  }

  private addNode(c: GoldenCommand): string {
    const replica = id(Number(c.word(0, "an id")));
    this.nodes.set(replica, new Node(replica, emptyConfiguration, "golden", this.nodeOptions(c)));
    return this.node(replica).raft.describe();
  }

  private describeNodes(): string {
    return [...this.nodes.values()].map((node) => node.raft.describe()).join("\n");
  }

  private tick(c: GoldenCommand): string {
    return this.act(c, (node) => {
      for (let i = 0; i < c.number("count", 1); i++) node.raft.tick();
      if (c.has("until-campaign")) for (let i = 0; i < 100 && node.raft.role === "follower"; i++) node.raft.tick();
    });
  }

  private describeResult(result: ProposeResult): string {
    return result.accepted ? `accepted as ${result.index}/${result.term}` : `refused: ${result.reason}, leader ${result.leader}`;
  }

  private propose(c: GoldenCommand): string {
    const node = this.node(c.word(0, "a node"));
    const results: string[] = [];
    const size = c.number("size");
    const texts =
      size === undefined
        ? c.words.slice(1).filter((word) => word !== "quiet")
        : Array.from({ length: c.number("count", 1) }, () => "x".repeat(size));
    for (const text of texts) results.push(this.describeResult(node.raft.propose(utf8Encode(text))));
    return results.join("\n");
  }

  private change(c: GoldenCommand): string {
    const changes: ConfigurationChange[] = [];
    for (const kind of ["add-voter", "add-learner", "remove"] as const)
      for (const replica of numbers(c.list(kind))) changes.push({ kind, replica: id(replica) });
    return this.describeResult(this.node(c.word(0, "a node")).raft.changeConfiguration(changes));
  }

  private read(c: GoldenCommand): string {
    const node = this.node(c.word(0, "a node"));
    return c.words
      .slice(1)
      .map((context) => (node.raft.readIndex(Number(context)) ? "asked" : "refused"))
      .join("\n");
  }

  private say(text: string): void {
    if (!this.quiet && text !== "") this.lines.push(text);
  }

  private readonly send = (message: Message): void => {
    this.network.push(message);
  };

  private process(node: Node, apply = true): void {
    node.process(this.send, (text) => this.say(indent(text)), apply);
  }

  private persist(node: Node, count: number): void {
    const sent: string[] = [];
    node.persist((message) => {
      this.network.push(message);
      sent.push(`  send ${describeMessage(message)}`);
    }, count);
    this.say(sent.join("\n"));
  }

  private matches(c: GoldenCommand, message: Message): boolean {
    const from = numbers(c.list("from"));
    const to = numbers(c.list("to"));
    const types = c.list("type");
    return (
      (from.length === 0 || from.includes(message.from)) &&
      (to.length === 0 || to.includes(message.to)) &&
      (types.length === 0 || types.includes(message.type))
    );
  }

  private take(c: GoldenCommand): Message[] {
    const count = c.number("count", Number.POSITIVE_INFINITY);
    const taken: Message[] = [];
    const left: Message[] = [];
    for (const message of c.has("newest-first") ? [...this.network].reverse() : this.network) {
      if (taken.length < count && this.matches(c, message)) taken.push(message);
      else left.push(message);
    }
    this.network = c.has("newest-first") ? left.reverse() : left;
    return taken;
  }

  private reaches(message: Message): boolean {
    const node = this.nodes.get(message.to);
    return node?.up === true && !this.isolated.has(message.from) && !this.isolated.has(message.to);
  }

  private deliver(c: GoldenCommand): string {
    const taken = this.take(c);
    if (taken.length === 0) return "nothing to deliver";
    for (const message of taken) {
      const arrives = this.reaches(message);
      this.say(`${describeMessage(message)}${arrives ? "" : " (lost)"}`);
      if (arrives) this.node(message.to).raft.step(message);
    }
    return "";
  }

  /** An append as any leader might send it. Entries and `prev` are index/term. */
  private append(c: GoldenCommand): string {
    const place = (text: string): [number, number] => text.split("/").map(Number) as [number, number];
    const [prevIndex, prevTerm] = place(c.text("prev") ?? "0/0");
    const entries = c.list("entries").map((text): Entry => {
      const [index, term] = place(text);
      return { index, term, kind: EntryKind.normal, data: utf8Encode(`t${term}`) };
    });
    return this.act(c, (node) => {
      node.raft.step({
        type: "append",
        from: id(c.number("from", 0)),
        to: node.id,
        term: c.number("term", 0),
        prevIndex,
        prevTerm,
        entries,
        commit: c.number("commit", 0),
      });
    });
  }

  private heartbeat(c: GoldenCommand): string {
    return this.act(c, (node) => {
      node.raft.step({
        type: "heartbeat",
        from: id(c.number("from", 0)),
        to: node.id,
        term: c.number("term", 0),
        commit: c.number("commit", 0),
        context: 0,
      });
    });
  }

  private drop(c: GoldenCommand): string {
    return (
      this.take(c)
        .map((message) => `dropped ${describeMessage(message)}`)
        .join("\n") || "nothing to drop"
    );
  }

  private duplicate(c: GoldenCommand): string {
    const copies = this.network.filter((message) => this.matches(c, message));
    this.network.push(...copies);
    return copies.map((message) => `repeated ${describeMessage(message)}`).join("\n");
  }

  /** Until nothing moves: ready, persisted, delivered, node by node. */
  private stabilize(c: GoldenCommand): string {
    const nodes = this.chosen(c);
    const ids = new Set(nodes.map((node) => Number(node.id)));
    for (let round = 0; round < 1000; round++) {
      let moved = false;
      for (const node of nodes) {
        if (!node.up) continue;
        if (node.raft.hasReady) {
          moved = true;
          this.say(`> ${node.id} process-ready`);
          this.process(node);
        }
        if (node.writes.length > 0) {
          moved = true;
          this.say(`> ${node.id} persist`);
          this.persist(node, node.writes.length);
        }
      }
      const taken = this.network.filter((message) => ids.has(message.to));
      this.network = this.network.filter((message) => !ids.has(message.to));
      for (const message of taken) {
        moved = true;
        const arrives = this.reaches(message);
        this.say(`> deliver ${describeMessage(message)}${arrives ? "" : " (lost)"}`);
        if (arrives) this.node(message.to).raft.step(message);
      }
      if (!moved) return this.lines.length > 0 ? "" : "ok";
    }
    return "does not become stable";
  }

  private isolate(c: GoldenCommand): string {
    for (const word of c.words) this.isolated.add(Number(word));
    return `isolated ${[...this.isolated].join(" ")}`;
  }

  private heal(): string {
    this.isolated.clear();
    return "ok";
  }

  private restart(node: Node, c: GoldenCommand): string {
    if (node.up) node.crash();
    const lost = c.number("lost-from");
    if (lost !== undefined) node.damage(lost);
    node.restart();
    return node.raft.describe();
  }

  private configurationAt(node: Node, index: number): Configuration {
    let configuration = node.durable.snapshot.configuration;
    for (const entry of node.durable.entries) {
      if (entry.index > node.durable.snapshot.index && entry.index <= index && entry.kind === EntryKind.configuration)
        configuration = decodeConfiguration(entry.data);
    }
    return configuration;
  }

  private compact(node: Node, c: GoldenCommand): string {
    node.compact(c.number("release", node.applied), this.configurationAt(node, node.applied));
    return node.raft.describe();
  }

  /** The transfer of chunks is not raft's: here it takes no time. */
  private sendSnapshot(node: Node, c: GoldenCommand): string {
    const to = id(c.number("to", 0));
    const { snapshot } = node.durable;
    this.network.push({ type: "snapshot", from: node.id, to, term: node.raft.term, meta: snapshot });
    node.raft.snapshotSent(to, snapshot.index);
    return `sent ${snapshot.index}/${snapshot.term}`;
  }

  private supply(node: Node, c: GoldenCommand): string {
    const to = id(c.number("to", 0));
    const fetch = defined(
      node.fetches.find((candidate) => candidate.to === to),
      "a fetch",
    );
    node.fetches.splice(node.fetches.indexOf(fetch), 1);
    // Read before another leader's entry took its place.
    const stale = c.number("stale", 0);
    const read = node.read(c.number("from", fetch.from), c.number("count", 100));
    const entries = read.map((entry) => (entry.index === stale ? { ...entry, term: entry.term - 1 } : entry));
    node.raft.supply(to, entries);
    return `supplied ${describeEntries(entries)}`;
  }

  private fetchFailed(node: Node, c: GoldenCommand): void {
    const to = id(c.number("to", 0));
    node.fetches.splice(
      node.fetches.findIndex((candidate) => candidate.to === to),
      1,
    );
    node.raft.fetchFailed(to);
  }

  private status(c: GoldenCommand): string {
    return this.chosen(c)
      .map((node) => (node.up ? node.raft.describe() : `${node.id} down`))
      .join("\n");
  }

  private progress(node: Node): string {
    const lines = [...node.raft.status().progress].map(([replica, progress]) => `${replica}: ${describeProgress(progress)}`);
    return lines.join("\n") || "none";
  }

  private log(c: GoldenCommand): string {
    const show = (entries: readonly Entry[]): string => describeEntries(entries);
    return this.chosen(c)
      .map((node) => `${node.id}: ${show(node.durable.entries)}`)
      .join("\n");
  }
}
