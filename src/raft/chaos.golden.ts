import { Prng, assert, utf8Encode } from "../base/index.ts";
import type { ReplicaId } from "../base/index.ts";
import { Node, emptyConfiguration, id } from "./cluster.golden.ts";
import { decodeConfiguration } from "./index.ts";
import type { Configuration, ConfigurationChange, Entry, Message } from "./index.ts";
import { EntryKind } from "./types.ts";

interface Flight {
  readonly message: Message;
  readonly due: number;
}

/**
 * A small world under one seed: messages are lost, repeated and reordered, replicas crash and lose what
 * was not synced, disks are found damaged, memberships change. Every promise of raft is asserted at
 * every step.
 */
export class Chaos {
  private readonly prng: Prng;
  readonly nodes = new Map<ReplicaId, Node>();
  private flights: Flight[] = [];
  private time = 0;
  private readonly cut = new Set<ReplicaId>();
  /** Swarm style: every seed has its own mixture of faults, whole kinds switched off. */
  private readonly weights: {
    lose: number;
    repeat: number;
    late: number;
    crash: number;
    damage: number;
    change: number;
    transfer: number;
    compact: number;
    cut: number;
  };
  private readonly initial: Configuration;
  private nextId: number;
  private nextContext = 1;
  private nextValue = 1;
  private calm = false;

  // What is known of the whole, for the checks.
  private readonly leaders = new Map<number, ReplicaId>();
  /** Every entry ever written: by index/term, its content and the term before it (log matching). */
  private readonly written = new Map<string, string>();
  readonly agreed: { term: number; data: string; configuration: Configuration | undefined }[] = [];
  private readonly asked = new Map<number, number>();
  readonly counts = { elections: 0, committed: 0, reads: 0, crashes: 0, damages: 0, trusted: 0, snapshots: 0, changes: 0, fetches: 0 };

  constructor(seed: number) {
    this.prng = new Prng(seed);
    const { prng } = this;
    const rate = (most: number): number => (prng.chance(1, 2) ? 0 : prng.below(most));
    this.weights = {
      lose: rate(15),
      repeat: rate(15),
      late: rate(30),
      crash: rate(25),
      damage: rate(10),
      change: rate(30),
      transfer: rate(20),
      compact: rate(20),
      cut: rate(8),
    };
    const voters = prng.pick([1, 2, 3, 3, 3, 5]);
    this.initial = { ...emptyConfiguration, voters: Array.from({ length: voters }, (_, at) => id(at + 1)) };
    this.nextId = voters + 1;
    for (const replica of this.initial.voters) this.add(replica, this.initial);
  }

  private add(replica: ReplicaId, configuration: Configuration): void {
    const limits = {
      appendBytesMax: 200,
      appendInflightMax: this.prng.between(1, 4),
      appendInflightBytesMax: 600,
      logCacheBytesMax: this.prng.pick([200, 2000, 1_000_000]),
    };
    const options = { electionTicks: 5, limits, ...(this.prng.chance(1, 2) ? { tailEntries: 3 } : {}) };
    const node = new Node(replica, configuration, `chaos/${this.prng.u32()}`, options);
    node.onApplied = (entry) => this.checkApplied(node, entry);
    this.nodes.set(replica, node);
  }

  private get living(): Node[] {
    return [...this.nodes.values()].filter((node) => node.up);
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step++) this.step();
    this.calm = true;
    this.cut.clear();
    for (const node of this.nodes.values()) if (!node.up) node.restart();
    const before = this.agreed.length;
    for (let step = 0; step < 2500; step++) {
      this.step();
      if (this.agreed.length > before + 20 && this.isWhole()) return;
    }
    if (this.canDecide()) throw new Error(`no progress once all was well: ${this.agreed.length} after ${before}\n${this.describe()}`);
  }

  describe(): string {
    return [...this.nodes.values()]
      .map((node) => node.raft.describe() + [...node.raft.status().progress].map(([to, p]) => `\n   ${to} ${JSON.stringify(p)}`).join(""))
      .join("\n");
  }

  /** Every member of the newest agreed configuration has applied everything and nobody is suspect. */
  private isWhole(): boolean {
    const leader = this.living.find((node) => node.raft.role === "leader");
    if (leader === undefined) return false;
    const { voters, outgoing, learners } = leader.raft.configuration;
    if (outgoing.length > 0) return false;
    return [...voters, ...learners].every((replica) => {
      const node = this.nodes.get(replica);
      return node !== undefined && !node.raft.isSuspect && node.applied >= this.agreed.length - 12;
    });
  }

  /** Whether any replica that is trusted could be elected by trusted ones at all. */
  private canDecide(): boolean {
    return [...this.nodes.values()].every((node) => !node.raft.isSuspect);
  }

  private step(): void {
    this.time++;
    const { prng } = this;
    this.deliver();
    for (const node of this.living) {
      if (prng.chance(1, 4)) node.raft.tick();
      if (prng.chance(3, 4)) this.process(node);
      if (prng.chance(1, 2) && node.writes.length > 0) node.persist((message) => this.send(message), prng.between(1, node.writes.length));
      if (prng.chance(1, 2)) this.process(node);
      this.serve(node);
      if (node.raft.role === "leader") this.lead(node);
    }
    if (!this.calm) this.faults();
  }

  private process(node: Node): void {
    node.process((message) => this.send(message), undefined, this.prng.chance(3, 4));
    if (this.prng.chance(1, 2)) node.apply();
    for (const { context, index } of node.readStates.splice(0)) {
      const least = this.asked.get(context) ?? 0;
      assert(index >= least, `read ${context} at ${index} misses what was agreed before it was asked: ${least}`);
      this.counts.reads++;
    }
    node.readsDropped.length = 0;
    this.checkRole(node);
    this.checkLog(node);
  }

  private serve(node: Node): void {
    for (const fetch of node.fetches.splice(0)) {
      this.counts.fetches++;
      const entries = node.read(fetch.from, this.prng.between(1, 5));
      if (entries.length === 0 || this.prng.chance(1, 20)) node.raft.fetchFailed(fetch.to);
      else node.raft.supply(fetch.to, entries);
    }
    for (const request of node.snapshotRequests.splice(0)) {
      if (node.durable.snapshot.index < request.minIndex) this.compact(node);
      const { snapshot } = node.durable;
      if (snapshot.index < request.minIndex || snapshot.index === 0 || this.prng.chance(1, 5)) {
        node.raft.snapshotFailed(request.to);
        continue;
      }
      this.counts.snapshots++;
      this.send({ type: "snapshot", from: node.id, to: request.to, term: node.raft.term, meta: snapshot });
      node.raft.snapshotSent(request.to, snapshot.index);
    }
  }

  private lead(node: Node): void {
    const { prng } = this;
    if (prng.chance(1, 3)) node.raft.propose(utf8Encode(`v${this.nextValue++}`));
    if (prng.chance(1, 6)) {
      const context = this.nextContext++;
      this.asked.set(context, this.agreed.length);
      node.raft.readIndex(context);
    }
    if (this.calm) return;
    if (prng.below(1000) < this.weights.transfer) node.raft.transfer(prng.pick([...this.nodes.keys()]));
    if (prng.below(1000) < this.weights.transfer) node.raft.transferOrStepDown();
    if (prng.below(1000) < this.weights.change) this.change(node);
  }

  private change(node: Node): void {
    const { prng } = this;
    const { voters, learners } = node.raft.configuration;
    const changes: ConfigurationChange[] = [];
    const taken = new Set<ReplicaId>();
    for (let i = prng.between(1, 3); i > 0; i--) {
      const kind = prng.pick(["add-voter", "add-voter", "add-learner", "remove"] as const);
      const known = [...voters, ...learners].filter((replica) => !taken.has(replica));
      let replica: ReplicaId | undefined = known.length > 0 ? prng.pick(known) : undefined;
      if (kind !== "remove" && (this.nodes.size < 8 || replica === undefined) && prng.chance(1, 2)) {
        replica = id(this.nextId++);
        this.add(replica, emptyConfiguration);
      }
      if (replica === undefined) continue;
      taken.add(replica);
      changes.push({ kind, replica });
    }
    if (node.raft.changeConfiguration(changes).accepted) this.counts.changes++;
  }

  private faults(): void {
    const { prng, weights } = this;
    if (prng.below(1000) < weights.crash) this.crash(prng.pick([...this.nodes.values()]));
    for (const node of this.nodes.values()) if (!node.up && prng.chance(1, 30)) node.restart();
    if (prng.below(1000) < weights.compact) this.compact(prng.pick([...this.nodes.values()]));
    if (prng.below(1000) < weights.cut) this.cut.add(prng.pick([...this.nodes.keys()]));
    if (prng.chance(1, 60)) this.cut.clear();
    if (prng.chance(1, 100)) {
      const node = prng.pick(this.living.length > 0 ? this.living : [...this.nodes.values()]);
      if (node.up && node.raft.leader !== 0) {
        node.raft.leaderLost(node.raft.leader);
        node.raft.campaign();
      }
    }
  }

  private crash(node: Node): void {
    if (!node.up) return;
    this.counts.crashes++;
    node.crash(this.prng.between(0, node.writes.length));
    if (this.prng.below(20) >= this.weights.damage) return;
    const { firstIndex, entries, snapshot } = node.durable;
    const from = this.prng.between(
      Math.max(firstIndex, snapshot.index + 1),
      Math.max(firstIndex, snapshot.index + 1, firstIndex + entries.length),
    );
    this.counts.damages++;
    node.damage(from);
  }

  private compact(node: Node): void {
    if (!node.up || node.applied <= node.durable.snapshot.index || node.durableTerm(node.applied) === undefined) return;
    const configuration = this.configurationAt(node.applied);
    node.compact(node.applied - this.prng.below(6), configuration);
  }

  private configurationAt(index: number): Configuration {
    for (let at = index; at > 0; at--) {
      const configuration = this.agreed[at - 1]?.configuration;
      if (configuration !== undefined) return configuration;
    }
    return this.initial;
  }

  private send(message: Message): void {
    const { prng, weights } = this;
    if (!this.calm && prng.below(100) < weights.lose) return;
    const delay = (): number => (!this.calm && prng.below(100) < weights.late ? prng.between(1, 60) : prng.between(0, 2));
    this.flights.push({ message, due: this.time + delay() });
    if (!this.calm && prng.below(100) < weights.repeat) this.flights.push({ message, due: this.time + delay() });
  }

  private deliver(): void {
    const due = this.flights.filter((flight) => flight.due <= this.time);
    this.flights = this.flights.filter((flight) => flight.due > this.time);
    for (const { message } of this.prng.shuffle(due)) {
      const node = this.nodes.get(message.to);
      if (node === undefined || !node.up || this.cut.has(message.from) || this.cut.has(message.to)) continue;
      const suspect = node.raft.isSuspect;
      node.raft.step(message);
      if (suspect && !node.raft.isSuspect) this.counts.trusted++;
      this.checkRole(node);
    }
  }

  /** Election safety and leader completeness (paper, figure 3). */
  private checkRole(node: Node): void {
    if (node.raft.role !== "leader") return;
    const { term } = node.raft;
    const known = this.leaders.get(term);
    assert(known === undefined || known === node.id, `term ${term} has two leaders`);
    if (known !== undefined) return;
    this.leaders.set(term, node.id);
    this.counts.elections++;
    const { lastIndex } = node.raft;
    this.agreed.forEach(({ term: entryTerm }, at) => {
      if (entryTerm >= term) return;
      assert(at + 1 <= lastIndex, `the leader of term ${term} lacks the agreed entry ${at + 1}`);
      const own = this.termAt(node, at + 1);
      assert(own === undefined || own === entryTerm, `the leader of term ${term} has another entry at ${at + 1} than was agreed`);
    });
  }

  private termAt(node: Node, index: number): number | undefined {
    for (let at = node.writes.length - 1; at >= 0; at--) {
      const entries = node.writes[at]?.entries ?? [];
      const first = entries[0]?.index ?? Number.POSITIVE_INFINITY;
      if (index >= first) return entries[index - first]?.term;
    }
    return node.durableTerm(index);
  }

  /** Log matching: an index and a term name one entry, and one history before it. */
  private checkLog(node: Node): void {
    for (const write of node.writes) {
      for (const entry of write.entries) {
        const key = `${entry.index}/${entry.term}`;
        const content = `${entry.kind}:${entry.data.join(",")}`;
        const known = this.written.get(key);
        if (known === undefined) this.written.set(key, content);
        else assert(known === content, `entry ${key} has two contents`);
      }
    }
  }

  /** State machine safety: nobody ever applies another entry at an index, and nothing is applied out of order. */
  private checkApplied(node: Node, entry: Entry): void {
    const known = this.agreed[entry.index - 1];
    const data = `${entry.kind}:${entry.data.join(",")}`;
    if (known === undefined) {
      assert(entry.index === this.agreed.length + 1, "nobody applies ahead of what was agreed");
      this.agreed.push({
        term: entry.term,
        data,
        configuration: entry.kind === EntryKind.configuration ? decodeConfiguration(entry.data) : undefined,
      });
      this.counts.committed++;
    } else {
      assert(known.term === entry.term, `replica ${node.id} applies ${entry.index}/${entry.term}, others applied term ${known.term}`);
      assert(known.data === data, `replica ${node.id} applies other data at ${entry.index}`);
    }
  }
}
