import { UnumError, isUnumError } from "../base/index.ts";
import type { GroupId, NodeId } from "../base/index.ts";
import { Method, toWireError } from "../wire/index.ts";
import type { Answer, Priority, Request } from "../wire/index.ts";
import type { Call } from "./connection.ts";
import { Forwarder, forwardAsPromise } from "./forwarder.ts";
import type { ForwardedStream } from "./forwarder.ts";
import { withTimeout } from "./timeout.ts";
import type { UnumNode } from "./node.ts";

/** What the runtime's own requests have in common. */
const ownRequest = { id: 0, priority: "system", stale: false, forwarded: true, trace: 0n, principal: "" } as const;

/** Sends requests to the node that can answer them, and the runtime's own requests to other nodes. */
export class Router {
  private readonly node: UnumNode;
  private readonly forwarders = new Map<NodeId, Forwarder>();
  private addresses: ReadonlyMap<NodeId, string> = new Map();

  constructor(node: UnumNode) {
    this.node = node;
  }

  setPeers(addresses: ReadonlyMap<NodeId, string>): void {
    for (const [id, forwarder] of this.forwarders) {
      if (addresses.get(id) === this.addresses.get(id)) continue;
      this.forwarders.delete(id);
      forwarder.close();
    }
    this.addresses = addresses;
  }

  /** The connection to the node does not work any more: whoever waits for an answer over it hears so. */
  drop(id: NodeId): void {
    const forwarder = this.forwarders.get(id);
    this.forwarders.delete(id);
    forwarder?.close();
  }

  tick(): void {
    for (const forwarder of this.forwarders.values()) forwarder.tick();
  }

  private to(id: NodeId): Forwarder | undefined {
    const known = this.forwarders.get(id);
    if (known !== undefined) return known;
    const address = this.addresses.get(id);
    if (address === undefined) return undefined;
    const { clock, logger, streams } = this.node.platform;
    const forwarder = new Forwarder(
      {
        clock,
        logger,
        streams,
        hello: () => this.node.introduction.hello("client"),
        onPush: (push) => {
          if (push.kind === "leader") this.node.leaders.learn(push.group, push.term, push.node);
        },
      },
      id,
      address,
    );
    this.forwarders.set(id, forwarder);
    return forwarder;
  }

  /** The node to ask for a group that is led elsewhere: the leader, else any that holds a replica. */
  private targetOf(group: GroupId): { forwarder: Forwarder; isLeader: boolean } | undefined {
    const leader = this.leaderOf(group);
    if (leader !== undefined && leader !== this.node.nodeId) {
      const forwarder = this.to(leader);
      if (forwarder !== undefined) return { forwarder, isLeader: true };
    }
    // With a replica here we hear of the leader anyway; without one somebody who has it is asked.
    if (this.node.groups.get(group) !== undefined) return undefined;
    for (const id of this.node.prng.shuffle(this.node.directory?.nodesOf(group) ?? [])) {
      if (id === this.node.nodeId || !this.node.links.isConnected(id)) continue;
      const forwarder = this.to(id);
      if (forwarder !== undefined) return { forwarder, isLeader: false };
    }
    return undefined;
  }

  /** What was heard, else what the replica here follows: a doubt about a node lasts only until the next try. */
  private leaderOf(group: GroupId): NodeId | undefined {
    const heard = this.node.leaders.get(group);
    const replica = this.node.groups.get(group);
    if (heard !== undefined || replica === undefined || replica.leader === 0) return heard;
    return this.node.directory?.nodeOf(group, replica.leader);
  }

  forward(call: Call): void {
    const { request } = call;
    const remainingMs = call.deadlineMs - this.node.platform.clock.now();
    if (remainingMs <= 0) {
      this.node.gate.counters.expired++;
      call.fail(new UnumError("TIMEOUT", "The request's time was over before it was proposed.", { outcome: "not-applied", retry: "safe" }));
      return;
    }
    const target = this.targetOf(request.group);
    if (target === undefined) {
      this.node.gate.wait(call);
      return;
    }
    const principal = request.principal === "" ? call.connection.principal : request.principal;
    target.forwarder.send({ ...request, remainingMs, forwarded: true, principal }, new Forwarded(this.node, call, target.forwarder.node));
  }

  /** A watch of a group that has no replica here is served by a node that has one. */
  forwardStream(call: Call): void {
    const { request } = call;
    const target = request.forwarded ? undefined : this.targetOf(request.group);
    if (target === undefined) {
      call.fail(new UnumError("UNAVAILABLE", "This node cannot serve the watch; another one can."));
      return;
    }
    const { connection } = call;
    const handle = target.forwarder.send({ ...request, forwarded: true, principal: connection.principal }, undefined, {
      onItem: (body) => connection.item(request.id, body),
      onEnd: (answer) => connection.end(request.id, answer),
    });
    connection.stream(call, handle);
  }

  /** Opens a stream of this node's own at another one; an unknown one ends it with UNAVAILABLE at once. */
  openStream(
    id: NodeId,
    request: Pick<Request, "method" | "group" | "body">,
    remainingMs: number,
    stream: ForwardedStream,
  ): { cancel(): void; credit(bytes: number): void } {
    const forwarder = this.to(id);
    if (forwarder === undefined) {
      stream.onEnd({ ok: false, error: toWireError(new UnumError("UNAVAILABLE", `Node ${id} is no member.`)) });
      return { cancel: () => undefined, credit: () => undefined };
    }
    return forwarder.send({ ...ownRequest, remainingMs, ...request }, undefined, stream);
  }

  /** Asks one node; rejects with its error, UNAVAILABLE or TIMEOUT. */
  async ask(
    id: NodeId,
    request: Pick<Request, "method" | "group" | "body"> & { readonly priority?: Priority },
    timeoutMs: number,
  ): Promise<Uint8Array> {
    const forwarder = this.to(id);
    if (forwarder === undefined) throw new UnumError("UNAVAILABLE", `Node ${id} is no member.`);
    const full: Request = { ...ownRequest, remainingMs: timeoutMs, ...request };
    return withTimeout(this.node.platform.clock, forwardAsPromise(forwarder, full), timeoutMs, `node ${id}`);
  }

  /**
   * Proposes one of the runtime's own commands wherever the group's leader is, and repeats it while
   * that is harmless: such commands are idempotent or carry the version that they expect.
   */
  async propose(group: GroupId, command: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const { clock } = this.node.platform;
    const deadline = clock.now() + timeoutMs;
    for (;;) {
      const left = deadline - clock.now();
      if (left <= 0) throw new UnumError("NO_LEADER", `Group ${group} had no leader for ${timeoutMs} ms.`);
      try {
        return await this.proposeOnce(group, command, left);
      } catch (error) {
        if (this.node.isStopping || !isUnumError(error, "NOT_LEADER", "NO_LEADER", "UNAVAILABLE", "UNKNOWN_OUTCOME")) throw error;
        await new Promise<void>((resolve) => void clock.after(50 + this.node.prng.below(50), resolve));
      }
    }
  }

  private proposeOnce(group: GroupId, command: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const local = this.node.groups.get(group);
    if (local?.isLeader === true) {
      return new Promise((resolve, reject) => local.propose(command, { reply: (bytes) => resolve(bytes.slice()), fail: reject }));
    }
    const leader = this.leaderOf(group);
    if (leader === undefined || leader === this.node.nodeId) return Promise.reject(new UnumError("NO_LEADER"));
    return this.ask(leader, { method: Method.propose, group, body: command }, timeoutMs);
  }

  close(): void {
    for (const forwarder of this.forwarders.values()) forwarder.close();
    this.forwarders.clear();
  }
}

/** A forwarded call: passes the answer on, unless the leader had moved, and then it is tried again. */
class Forwarded {
  private readonly node: UnumNode;
  private readonly call: Call;
  private readonly target: NodeId;

  constructor(node: UnumNode, call: Call, target: NodeId) {
    this.node = node;
    this.call = call;
    this.target = target;
  }

  relay(answer: Answer): void {
    if (answer.ok || answer.error.code !== "NOT_LEADER") {
      this.call.relay(answer);
      return;
    }
    const { group, leader, term } = answer.error.details as { group?: number; term?: number; leader?: string };
    this.node.leaders.doubt(this.call.request.group, this.target);
    if (group === this.call.request.group && typeof leader === "string" && typeof term === "number")
      this.node.leaders.learn(this.call.request.group, term, leader as NodeId);
    if (this.call.isOpen) this.node.gate.wait(this.call);
  }

  fail(error: UnumError): void {
    // Nothing was sent: the call may wait for the next leader.
    if (error.code === "UNAVAILABLE" && this.call.isOpen) {
      this.node.leaders.doubt(this.call.request.group, this.target);
      this.node.gate.wait(this.call);
    } else this.call.fail(error);
  }
}
