import { MalformedBytes, UnumError, hexId, isUnumError, systemGroup, utf8Decode, utf8Encode } from "../base/index.ts";
import type { ClusterId, NodeId, Prng } from "../base/index.ts";
import type { Clock, Logger, Names, Random, Streams, Timer } from "../ports/index.ts";
import { Method } from "../wire/index.ts";
import type { Hello, Request } from "../wire/index.ts";
import { Forwarder, forwardAsPromise } from "./forwarder.ts";
import type { Bootstrap, FormingProposal, IdentityStore, NodeCard } from "./identity.ts";
import { isDnsSeed } from "./options.ts";
import { votersOf } from "./plan.ts";
import { nodesBehind, seedAddresses, silentAmong } from "./seeds.ts";
import { withTimeout } from "./timeout.ts";

/** What nodes say to each other before they are members of one cluster. */
export type MembershipRequest =
  | { readonly op: "discover"; readonly card: NodeCard }
  | { readonly op: "accept"; readonly proposal: FormingProposal }
  | { readonly op: "join"; readonly card: NodeCard };

export type MembershipAnswer =
  | {
      readonly op: "discover";
      readonly card: NodeCard;
      readonly cluster: ClusterId | null /** The proposal that this node makes or has accepted. */;
      readonly accepted: FormingProposal | null;
    }
  | { readonly op: "accept"; readonly accepted: boolean }
  | { readonly op: "join"; readonly cluster: ClusterId; readonly bootstrap: Bootstrap };

export interface MembershipOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly streams: Streams;
  readonly names: Names;
  readonly logger: Logger;
  readonly prng: Prng;
  readonly identity: IdentityStore;
  readonly seeds: readonly string[];
  readonly expect: number;
  card(): NodeCard;
  hello(): Hello;
  /** The node is a member now: create or open the system group. */
  joined(cluster: ClusterId, bootstrap: Bootstrap): void;
  /** It never will be: NAME_IN_USE, TWO_CLUSTERS and the like. */
  failed(error: UnumError): void;
}

const roundMs = 200;
const askTimeoutMs = 1_000;

type Discovery = Extract<MembershipAnswer, { op: "discover" }> & { readonly seed: string };

/**
 * How an empty node becomes a member: it joins the cluster that a seed knows; if none knows one, the
 * empty nodes form it. Safety rests on two facts: every node accepts one proposal at a time and
 * records it before it answers, and a cluster exists only when all of its members have accepted.
 */
export class Membership {
  private readonly options: MembershipOptions;
  private readonly forwarders = new Map<string, Forwarder>();
  private timer: Timer | undefined;
  private closed = false;
  private waitingSince: number;
  private saidWaiting = false;
  /** One of the seeds is this node, by its address or because it answered itself. Others join and never form. */
  private listed: boolean;
  /** Of the nodes that the seeds list now: two clusters cannot both have so many of them. */
  private leastFounders = 1;
  /** Listed under the seeds' name and silent in the last round: members of a cluster may be behind them. Never any of a fixed list. */
  private silent: readonly string[] = [];

  constructor(options: MembershipOptions) {
    this.options = options;
    this.waitingSince = options.clock.now();
    this.listed = options.seeds.includes(options.card().address);
  }

  start(): void {
    void this.round();
  }

  close(): void {
    this.closed = true;
    this.timer?.cancel();
    for (const forwarder of this.forwarders.values()) forwarder.close();
    this.forwarders.clear();
  }

  private async round(): Promise<void> {
    try {
      await this.attempt();
    } catch (error) {
      if (isUnumError(error, "NAME_IN_USE", "TWO_CLUSTERS", "REMOVED", "WRONG_CLUSTER", "DISK_FAILED", "UPGRADE_REQUIRED")) {
        this.close();
        this.options.failed(error);
        return;
      }
      this.options.logger.debug("forming or joining failed; trying again", { error: String(error) });
    }
    if (this.closed) return;
    this.sayWaiting();
    this.timer = this.options.clock.after(roundMs + this.options.prng.below(roundMs), () => void this.round());
  }

  private sayWaiting(): void {
    const { clock, expect, logger, seeds } = this.options;
    if (this.saidWaiting || clock.now() - this.waitingSince < 5_000) return;
    this.saidWaiting = true;
    const silent = this.silent.length === 0 ? {} : { silent: this.silent };
    logger.warn("no cluster yet: still waiting for a member or for enough empty nodes", { seeds, expect, ...silent });
  }

  private async attempt(): Promise<void> {
    const { identity, seeds } = this.options;
    if (seeds.length === 0) {
      await this.found({ proposer: identity.value.node, cluster: this.newCluster(), members: [this.options.card()] });
      return;
    }
    const bound = identity.value.accepted;
    const found = await this.discover(await this.addresses());
    const member = found.find((answer) => answer.cluster !== null);
    const clusters = new Set(found.map((answer) => answer.cluster).filter((cluster) => cluster !== null));
    if (clusters.size > 1) throw new UnumError("TWO_CLUSTERS", `The seeds belong to different clusters: ${[...clusters].join(", ")}.`);
    const { accepted } = identity.value;
    if (accepted !== undefined && member !== undefined && member.cluster === accepted.cluster) await this.found(accepted);
    else if (member !== undefined) await this.join(member.seed);
    else if (accepted === undefined) await this.maybePropose(found);
    else if (accepted.proposer === identity.value.node) await this.collect(accepted, found);
    // An answer from before this node was bound says nothing of the proposal: the proposer may have made it since, and counts on it.
    else if (accepted.cluster === bound?.cluster) await this.followProposer(accepted, found);
  }

  private newCluster(): ClusterId {
    return hexId<ClusterId>(this.options.random.bytes(8));
  }

  /** The seeds of this round: those listed, or all addresses that the name has now. */
  private async addresses(): Promise<readonly string[]> {
    const addresses = await seedAddresses(this.options.seeds, this.options);
    if (addresses.includes(this.options.card().address)) this.listed = true;
    this.leastFounders = Math.floor(nodesBehind(addresses) / 2) + 1;
    for (const [address, forwarder] of this.forwarders) {
      if (addresses.includes(address) || !this.options.seeds.some(isDnsSeed)) continue;
      this.forwarders.delete(address);
      forwarder.close();
    }
    return addresses;
  }

  private async discover(seeds: readonly string[]): Promise<Discovery[]> {
    const answered = new Set([this.options.card().address]);
    const asked = seeds.map(async (seed): Promise<Discovery | undefined> => {
      try {
        const answer = await this.ask(seed, { op: "discover", card: this.options.card() });
        if (answer.op !== "discover") return undefined;
        answered.add(seed);
        if (answer.card.node !== this.options.identity.value.node) return { ...answer, seed };
        this.listed = true;
        return undefined;
      } catch (error) {
        this.options.logger.debug("a seed does not answer", { seed, error: String(error) });
        return undefined;
      }
    });
    const unique = new Map<NodeId, Discovery>();
    for (const answer of await Promise.all(asked)) if (answer !== undefined) unique.set(answer.card.node, answer);
    this.silent = this.options.seeds.some(isDnsSeed) ? silentAmong(seeds, answered) : [];
    return [...unique.values()].sort((a, b) => (a.card.node < b.card.node ? -1 : 1));
  }

  /**
   * A fixed list has a majority that no other cluster can have. What a name lists grows: a cluster that was founded when it was short may
   * stand still now, outnumbered by empty nodes, so all that it lists must have answered.
   */
  private async maybePropose(found: readonly Discovery[]): Promise<void> {
    if (!this.listed || this.silent.length > 0) return;
    const { identity } = this.options;
    const expect = Math.max(this.options.expect, this.leastFounders);
    const self = this.options.card();
    const cards = [self, ...found.map((answer) => answer.card)].sort((a, b) => (a.node < b.node ? -1 : 1));
    const members = cards.slice(0, expect);
    if (members.length < expect || members[0]?.node !== self.node) return;
    const proposal: FormingProposal = { proposer: self.node, cluster: this.newCluster(), members };
    if (await identity.accept(proposal)) await this.collect(proposal, found);
  }

  /** The proposer's part: when all have accepted, the cluster exists. */
  private async collect(proposal: FormingProposal, found: readonly Discovery[]): Promise<void> {
    const self = this.options.identity.value.node;
    const answers = await Promise.all(
      proposal.members.map(async (member): Promise<boolean | undefined> => {
        if (member.node === self) return true;
        const seed = found.find((answer) => answer.card.node === member.node)?.seed ?? member.address;
        const answer = await this.ask(seed, { op: "accept", proposal });
        return answer.op === "accept" ? answer.accepted : undefined;
      }),
    );
    if (answers.every((accepted) => accepted === true)) await this.found(proposal);
    // Somebody is bound to another proposal. Only the proposer decides, so that it alone may withdraw.
    else if (answers.includes(false)) await this.options.identity.withdraw(proposal.cluster);
  }

  /** An acceptor's part: it is released only by its proposer's word. */
  private async followProposer(accepted: FormingProposal, found: readonly Discovery[]): Promise<void> {
    const proposer = found.find((answer) => answer.card.node === accepted.proposer);
    if (proposer !== undefined && proposer.accepted?.cluster !== accepted.cluster) await this.options.identity.withdraw(accepted.cluster);
  }

  private async found(proposal: FormingProposal): Promise<void> {
    const { identity } = this.options;
    const position = proposal.members.findIndex((member) => member.node === identity.value.node);
    const count = votersOf(proposal.members.length);
    const bootstrap: Bootstrap = {
      initialVoters: proposal.members.slice(0, count).map((_, index) => index + 1),
      replicas: proposal.members.map((member, index) => ({ replica: index + 1, node: member.node })),
      members: proposal.members,
      replica: position + 1,
    };
    await identity.update({ cluster: proposal.cluster, bootstrap, accepted: proposal });
    this.enter(proposal.cluster, bootstrap);
  }

  private async join(seed: string): Promise<void> {
    const answer = await this.ask(seed, { op: "join", card: this.options.card() }, 10_000);
    if (answer.op !== "join") return;
    const { identity } = this.options;
    await identity.update({ cluster: answer.cluster, bootstrap: answer.bootstrap, accepted: undefined });
    this.enter(answer.cluster, answer.bootstrap);
  }

  private enter(cluster: ClusterId, bootstrap: Bootstrap): void {
    if (this.closed) return;
    this.close();
    this.options.joined(cluster, bootstrap);
  }

  tick(): void {
    for (const forwarder of this.forwarders.values()) forwarder.tick();
  }

  private async ask(seed: string, body: MembershipRequest, timeoutMs: number = askTimeoutMs): Promise<MembershipAnswer> {
    let forwarder = this.forwarders.get(seed);
    if (forwarder === undefined) {
      const { clock, logger, streams } = this.options;
      forwarder = new Forwarder({ clock, logger, streams, hello: () => this.options.hello(), onPush: () => undefined }, "" as NodeId, seed);
      this.forwarders.set(seed, forwarder);
    }
    const answer = forwardAsPromise(forwarder, membershipRequest(body, timeoutMs));
    return decodeMembership<MembershipAnswer>(await withTimeout(this.options.clock, answer, timeoutMs, seed));
  }

  /** Another node's question, while this one is no member yet. */
  async answer(request: MembershipRequest): Promise<MembershipAnswer> {
    const { identity } = this.options;
    if (request.op === "discover")
      return {
        op: "discover",
        card: this.options.card(),
        cluster: identity.value.cluster ?? null,
        accepted: identity.value.accepted ?? null,
      };
    if (request.op === "join") throw new UnumError("UNAVAILABLE", "This node is no member of a cluster yet.");
    return { op: "accept", accepted: await identity.accept(request.proposal) };
  }
}

export function membershipRequest(body: MembershipRequest, remainingMs: number): Request {
  return {
    id: 0,
    method: Method.membership,
    group: systemGroup,
    priority: "system",
    stale: false,
    forwarded: false,
    remainingMs,
    trace: 0n,
    principal: "",
    body: utf8Encode(JSON.stringify(body)),
  };
}

export function decodeMembership<T>(bytes: Uint8Array): T {
  try {
    return JSON.parse(utf8Decode(bytes)) as T;
  } catch (cause) {
    throw new MalformedBytes(`a membership message is JSON text: ${String(cause)}`);
  }
}
