import { MalformedBytes, Prng, Reader, UnumError, Writer, defaultGroup, limits, utf8Encode } from "../../base/index.ts";
import type { ClusterId, ErrorCode, GroupId, NodeId } from "../../base/index.ts";
import { commandKind, encodeWatchChange, Kind } from "../../machine/commands/index.ts";
import { keyspaceFactory } from "../../machine/index.ts";
import type { LeaseMachine, WatchableMachine, Watcher } from "../../machine/index.ts";
import { silentLogger } from "../../ports/index.ts";
import {
  FrameType,
  Method,
  decodeAdminRequest,
  decodeCancel,
  decodeCredit,
  decodeHello,
  decodeRequest,
  directCarrierPair,
  encodeEnd,
  encodeErrorResponse,
  encodeItem,
  encodeOkResponse,
  encodePush,
  encodeRefused,
  encodeWelcome,
  negotiate,
  protocolVersion,
  toWireError,
} from "../../wire/index.ts";
import type { Carrier, Hello, Push, Request } from "../../wire/index.ts";
import type { Environment, HandleClock } from "../types.ts";

/** What a node does with a request. The `drop`s end its connection, before or after the effect. */
export type Fault = "serve" | "silence" | "drop-before" | "drop-after" | { readonly code: ErrorCode };

type Keyspace = WatchableMachine & LeaseMachine;

interface Group {
  readonly machine: Keyspace;
  index: number;
}

/**
 * A cluster in one object: nodes that speak the session protocol around one copy of the real machine,
 * which stands for what is agreed. Faults are chosen by the test.
 */
export class FakeCluster {
  readonly clock: HandleClock;
  readonly nodes = new Map<string, FakeNode>();
  readonly groups = new Map<GroupId, Group>();
  readonly names = new Map<string, GroupId>();
  /** Kinds of the commands that were applied, in order. */
  readonly applied: number[] = [];
  id = "00000000000000cc" as ClusterId;
  term = 1;
  leader: FakeNode | undefined;
  /** Whether a node that does not lead passes requests on, rather than answer NOT_LEADER. */
  forwards = true;
  /** Whether nodes tell their clients of members other than themselves. */
  tellsMembers = true;
  intercept: (node: FakeNode, request: Request) => Fault = () => "serve";

  constructor(clock: HandleClock, names: readonly string[]) {
    this.clock = clock;
    names.forEach((name, at) => this.nodes.set(`${name}:7400`, new FakeNode(this, name, `000000000000000${at + 1}` as NodeId)));
    this.leader = [...this.nodes.values()][0];
    this.group(defaultGroup);
  }

  /** Makes both ends of a connection, gives the node its end and the handle the other. */
  connect: (node: FakeNode) => Promise<Carrier> = (node) => {
    const [ours, theirs] = directCarrierPair((callback) => this.clock.defer(callback), ["handle", node.address]);
    node.accept(theirs);
    return Promise.resolve(ours);
  };

  environment(seed: number): Environment {
    return {
      clock: this.clock,
      prng: new Prng(seed),
      logger: silentLogger,
      dial: (endpoint) => {
        const node = this.nodes.get(endpoint) ?? (endpoint === "local" ? [...this.nodes.values()][0] : undefined);
        if (node === undefined || !node.up) return Promise.reject(new UnumError("UNAVAILABLE", `${endpoint} refuses connections.`));
        return this.connect(node);
      },
    };
  }

  node(name: string): FakeNode {
    const node = this.nodes.get(`${name}:7400`);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  group(id: GroupId): Group {
    let group = this.groups.get(id);
    if (group === undefined) {
      group = { machine: keyspaceFactory().create() as Keyspace, index: 0 };
      group.machine.lead(this.time());
      this.groups.set(id, group);
    }
    return group;
  }

  time(): { readonly nowMs: number; readonly wallMs: number; readonly term: number } {
    return { nowMs: this.clock.now(), wallMs: this.clock.wall(), term: this.term };
  }

  apply(id: GroupId, command: Uint8Array): Uint8Array {
    const group = this.group(id);
    this.applied.push(commandKind(command));
    group.index++;
    const reply = group.machine.apply(command.slice(), {
      index: group.index,
      position: 0,
      timestamp: Math.floor(this.clock.wall()),
      term: this.term,
    });
    group.machine.publish();
    return reply;
  }

  /** Applies what leases that were not kept alive call for. */
  expireLeases(): void {
    for (const [id, group] of this.groups) for (const command of group.machine.due(this.time())) this.apply(id, command);
  }

  elect(node: FakeNode | undefined): void {
    this.term++;
    this.leader = node;
    for (const each of this.nodes.values()) each.push(this.leaderPush(defaultGroup));
  }

  leaderPush(group: GroupId): Push {
    return { kind: "leader", group, term: this.term, node: this.leader?.id, address: this.leader?.address ?? "" };
  }

  /** How often a command of this kind was applied. */
  count(kind: keyof typeof Kind): number {
    return this.applied.filter((each) => each === Kind[kind]).length;
  }
}

export class FakeNode {
  readonly cluster: FakeCluster;
  readonly name: string;
  readonly id: NodeId;
  readonly connections = new Set<NodeConnection>();
  up = true;
  /** Takes everything and says nothing, as after a loss of power. */
  silent = false;

  constructor(cluster: FakeCluster, name: string, id: NodeId) {
    this.cluster = cluster;
    this.name = name;
    this.id = id;
  }

  get address(): string {
    return `${this.name}:7400`;
  }

  accept(carrier: Carrier): void {
    new NodeConnection(this, carrier);
  }

  push(push: Push): void {
    for (const connection of this.connections) connection.push(push);
  }

  kill(): void {
    this.up = false;
    this.disconnect();
  }

  disconnect(): void {
    for (const connection of [...this.connections]) connection.carrier.destroy();
  }
}

interface Stream {
  readonly watcher: Watcher;
  credit: number;
}

class NodeConnection {
  readonly node: FakeNode;
  readonly carrier: Carrier;
  private readonly streams = new Map<number, Stream>();
  private greeted = false;

  constructor(node: FakeNode, carrier: Carrier) {
    this.node = node;
    this.carrier = carrier;
    node.connections.add(this);
    carrier.handle({
      onFrame: (frame) => this.onFrame(frame.slice()),
      onDrain: () => undefined,
      onClose: () => {
        node.connections.delete(this);
        for (const stream of this.streams.values()) stream.watcher.cancel();
      },
    });
  }

  push(push: Push): void {
    if (this.greeted && !this.node.silent) this.carrier.send(encodePush(push));
  }

  private onFrame(frame: Uint8Array): void {
    if (this.node.silent) return;
    switch (frame[0]) {
      case FrameType.hello:
        return this.greet(decodeHello(frame));
      case FrameType.request:
        return this.serve(decodeRequest(frame));
      case FrameType.credit: {
        const { id, bytes } = decodeCredit(frame);
        const stream = this.streams.get(id);
        if (stream === undefined) return;
        stream.credit += bytes;
        return this.pump(id, stream);
      }
      case FrameType.cancel: {
        const { id } = decodeCancel(frame);
        this.streams.get(id)?.watcher.cancel();
        this.streams.delete(id);
        return;
      }
      default:
        return;
    }
  }

  private greet(hello: Hello): void {
    const { cluster } = this.node;
    const ours: Hello = {
      versionMin: protocolVersion,
      versionMax: protocolVersion,
      purpose: "client",
      cluster: cluster.id,
      node: this.node.id,
      name: this.node.name,
      address: this.node.address,
      featureLevel: 1,
    };
    const negotiation = negotiate(ours, hello);
    if (!negotiation.ok) {
      this.carrier.send(encodeRefused(negotiation.error));
      this.carrier.close();
      return;
    }
    this.greeted = true;
    this.carrier.send(encodeWelcome(ours));
    if (cluster.tellsMembers) {
      this.push({
        kind: "members",
        members: [...cluster.nodes.values()].map((node) => ({ node: node.id, name: node.name, address: node.address })),
      });
    }
    for (const group of cluster.groups.keys()) this.push(cluster.leaderPush(group));
  }

  private serve(request: Request): void {
    const fault = this.node.cluster.intercept(this.node, request);
    if (fault === "silence") return;
    if (fault === "drop-before") return this.carrier.destroy();
    if (typeof fault === "object") return this.refuse(request, new UnumError(fault.code));
    try {
      const body = this.answer(request);
      if (fault === "drop-after") this.carrier.destroy();
      else if (body !== undefined) this.carrier.send(encodeOkResponse(request.id, body));
    } catch (error) {
      if (!(error instanceof UnumError) && !(error instanceof MalformedBytes)) throw error;
      this.refuse(request, error);
    }
  }

  private refuse(request: Request, error: unknown): void {
    this.carrier.send(encodeErrorResponse(request.id, toWireError(error)));
  }

  private answer(request: Request): Uint8Array | undefined {
    const { cluster } = this.node;
    switch (request.method) {
      case Method.propose:
        this.needLeader();
        return cluster.apply(request.group, request.body);
      case Method.query:
        if (!request.stale) this.needLeader();
        return cluster.group(request.group).machine.query(request.body.subarray(8));
      case Method.keepAlive: {
        this.needLeader();
        const remainingMs = cluster.group(request.group).machine.keepAlive(new Reader(request.body).big64(), cluster.time());
        if (remainingMs === undefined) throw new UnumError("LEASE_NOT_FOUND");
        return new Writer(8).u64(remainingMs).take();
      }
      case Method.keyspace: {
        const reader = new Reader(request.body);
        reader.u8();
        const name = reader.text();
        const group = cluster.names.get(name) ?? ((cluster.groups.size + 1) as GroupId);
        cluster.names.set(name, group);
        cluster.group(group);
        return new Writer(4).u32(group).take();
      }
      case Method.watch:
        this.watch(request);
        return undefined;
      case Method.admin:
        return this.admin(request);
      case Method.backup:
        for (const chunk of ["unum ", "backup"]) this.carrier.send(encodeItem(request.id, utf8Encode(chunk)));
        this.carrier.send(encodeEnd(request.id, { ok: true, body: new Uint8Array(0) }));
        return undefined;
      default:
        throw new UnumError("UNSUPPORTED");
    }
  }

  private needLeader(): void {
    const { cluster } = this.node;
    const leader = cluster.leader;
    if (leader === undefined || !leader.up) throw new UnumError("NO_LEADER");
    if (leader === this.node || cluster.forwards) return;
    throw new UnumError("NOT_LEADER", undefined, { details: { leader: leader.id, address: leader.address, term: cluster.term } });
  }

  private watch(request: Request): void {
    const machine = this.node.cluster.group(request.group).machine;
    const id = request.id;
    const watcher = machine.watch(request.body, () => this.pump(id, this.streams.get(id)));
    const stream: Stream = { watcher, credit: limits.streamCreditBytes };
    this.streams.set(id, stream);
    const first = new Writer(16);
    encodeWatchChange(first, { revision: watcher.startRevision - 1, events: [] });
    this.item(id, stream, first.take());
    this.pump(id, stream);
  }

  private item(id: number, stream: Stream, body: Uint8Array): void {
    stream.credit -= body.length;
    this.carrier.send(encodeItem(id, body.slice()));
  }

  private pump(id: number, stream: Stream | undefined): void {
    if (stream === undefined || this.node.silent) return;
    for (let more = true; more && stream.credit > 0; ) {
      const taken = stream.watcher.take(Math.min(stream.credit, 64 * 1024));
      for (const item of taken.items) this.item(id, stream, item);
      more = taken.more;
      if (taken.ended !== undefined) {
        this.streams.delete(id);
        this.carrier.send(encodeEnd(id, { ok: true, body: taken.ended }));
        return;
      }
    }
  }

  private admin(request: Request): Uint8Array {
    const { op } = decodeAdminRequest(request.body);
    const answers: Readonly<Record<string, unknown>> = {
      members: { op, members: [...this.node.cluster.nodes.values()].map((node) => ({ node: node.id, name: node.name })) },
      "node-status": { op, node: { node: this.node.id, name: this.node.name } },
      status: { op, status: { cluster: this.node.cluster.id, name: this.node.name } },
    };
    return utf8Encode(JSON.stringify(answers[op] ?? { op }));
  }
}
