import { IdMap, MalformedBytes, Reader, isNodeId, limits } from "../../base/index.ts";
import type { ClusterId, GroupId, NodeId, UnumError } from "../../base/index.ts";
import {
  FrameHeads,
  FrameType,
  Method,
  decodeEnd,
  decodeItem,
  decodePush,
  decodeRefused,
  decodeResponse,
  decodeWelcome,
  encodeAdminRequest,
  encodeCancel,
  encodeCredit,
  encodeGoodbye,
  encodeHello,
  encodeRequestFrame,
  fromWireError,
  negotiate,
  protocolVersion,
} from "../../wire/index.ts";
import type { Answer, Carrier, Hello, Push } from "../../wire/index.ts";
import type { Call, CallPlace } from "./call.ts";

/** What this build of the handle understands; a connection uses the lower of both sides. */
const featureLevel = 1;

/** Who holds the connection. Nothing is called after `closed`. */
export interface ConnectionOwner {
  opened(connection: Connection): void;
  /** `refusal`: the node's word for it, if it gave one. Calls in flight are in `calls`. */
  closed(connection: Connection, reason: string, refusal: UnumError | undefined, calls: readonly Call[]): void;
  pushed(connection: Connection, push: Push): void;
  answered(call: Call, body: Uint8Array): void;
  refused(call: Call, error: UnumError): void;
}

/** The receiving end of a stream. */
export interface StreamSink {
  /** Valid only during the call. */
  item(body: Uint8Array): void;
  /** Exactly once, unless it was cancelled. `answer` undefined: the connection was lost. */
  end(answer: Answer | undefined): void;
}

/** A stream as it runs on one connection. */
export interface OpenStream {
  readonly connection: Connection;
  credit(bytes: number): void;
  cancel(): void;
}

/** After so many silent ticks with calls waiting, or with streams only, the node is asked for a sign of life. */
const silentTicksCalls = 1;
const silentTicksStreams = 5;
/** And after so many more the connection is given up. */
const silentTicksProbe = 2;

/**
 * One connection to a node: the greeting, the requests and streams in flight by their ids, and
 * whether the node still gives signs of life.
 */
export class Connection implements CallPlace {
  readonly endpoint: string;
  state: "greeting" | "open" | "closed" = "greeting";
  /** The node is about to stop: nothing new goes to it while there is another. */
  leaving = false;
  node: NodeId | undefined;
  cluster: ClusterId | undefined;
  /** Calls in flight by request id. */
  readonly calls = new IdMap<Call>();
  private readonly streams = new Map<number, StreamSink>();
  private readonly carrier: Carrier;
  private readonly owner: ConnectionOwner;
  private readonly hello: Hello;
  private readonly heads = new FrameHeads();
  private refusal: UnumError | undefined;
  private lastId = 0;
  private heard = true;
  private silentTicks = 0;
  private probeId = 0;

  constructor(endpoint: string, carrier: Carrier, owner: ConnectionOwner, name: string, cluster: ClusterId | undefined) {
    this.endpoint = endpoint;
    this.carrier = carrier;
    this.owner = owner;
    this.hello = {
      versionMin: protocolVersion,
      versionMax: protocolVersion,
      purpose: "client",
      cluster,
      node: undefined,
      name,
      address: "",
      featureLevel,
    };
    carrier.handle({
      onFrame: (frame) => this.onFrame(frame),
      onDrain: () => undefined,
      onClose: (reason) => this.onClose(reason),
    });
    carrier.send(encodeHello(this.hello));
  }

  get streamCount(): number {
    return this.streams.size;
  }

  /** The node reads too slowly for more: what is sent now only waits, and a carrier that holds too much ends. */
  get isFull(): boolean {
    return this.carrier.bufferedBytes > limits.outputBytesMax / 2;
  }

  describe(): string {
    const id = this.node === undefined ? this.endpoint : `${this.endpoint} (${this.node})`;
    return `${id} ${this.state}${this.leaving ? " leaving" : ""}, ${this.calls.size} calls, ${this.streams.size} streams`;
  }

  send(call: Call, remainingMs: number): void {
    const id = this.nextId();
    call.id = id;
    call.connection = this;
    call.lastConnection = this;
    call.attempts++;
    this.calls.set(id, call);
    this.carrier.send(this.heads.request(id, call.method, call.group, call.priority, call.stale, remainingMs), call.body);
  }

  drop(call: Call): void {
    if (call.connection !== this) return;
    call.connection = undefined;
    if (this.calls.delete(call.id) && this.state === "open") this.carrier.send(encodeCancel(call.id));
  }

  openStream(method: Method, group: GroupId, body: Uint8Array, sink: StreamSink): OpenStream {
    const id = this.nextId();
    this.streams.set(id, sink);
    this.carrier.send(
      encodeRequestFrame({
        id,
        method,
        group,
        priority: "normal",
        stale: false,
        forwarded: false,
        remainingMs: 0xffff_ffff,
        trace: 0n,
        principal: "",
        body,
      }),
    );
    return {
      connection: this,
      credit: (bytes) => {
        if (this.state === "open" && this.streams.get(id) === sink) this.carrier.send(encodeCredit(id, bytes));
      },
      cancel: () => {
        if (this.streams.get(id) !== sink) return;
        this.streams.delete(id);
        if (this.state === "open") this.carrier.send(encodeCancel(id));
      },
    };
  }

  /**
   * One tick of the watch over silence. A machine that lost its power sends nothing, not even an end:
   * a request that nobody would answer for its whole deadline is better sent to another node. Returns whether it was given up.
   */
  tick(): boolean {
    if (this.state !== "open") return false;
    if (this.heard || (this.calls.size === 0 && this.streams.size === 0)) {
      this.heard = false;
      this.silentTicks = 0;
      this.probeId = 0;
      return false;
    }
    this.silentTicks++;
    if (this.probeId === 0) {
      if (this.silentTicks < (this.calls.size > 0 ? silentTicksCalls : silentTicksStreams)) return false;
      this.probeId = this.nextId();
      this.silentTicks = 0;
      this.carrier.send(
        encodeRequestFrame({
          id: this.probeId,
          method: Method.admin,
          group: 0 as GroupId,
          priority: "system",
          stale: true,
          forwarded: false,
          remainingMs: 5000,
          trace: 0n,
          principal: "",
          body: encodeAdminRequest({ op: "node-status" }),
        }),
      );
    } else if (this.silentTicks >= silentTicksProbe) {
      this.destroy();
      return true;
    }
    return false;
  }

  /** In order: what was sent before is still looked at. */
  close(): void {
    if (this.state === "closed") return;
    this.carrier.send(encodeGoodbye("the handle closes"));
    this.carrier.close();
  }

  destroy(): void {
    this.carrier.destroy();
  }

  private nextId(): number {
    do this.lastId = (this.lastId + 1) >>> 0;
    while (this.lastId === 0 || this.calls.has(this.lastId) || this.streams.has(this.lastId));
    return this.lastId;
  }

  private onFrame(frame: Uint8Array): void {
    this.heard = true;
    switch (frame[0]) {
      case FrameType.response:
        return this.onResponse(frame);
      case FrameType.item: {
        const { id, body } = decodeItem(frame);
        this.streams.get(id)?.item(body);
        return;
      }
      case FrameType.end: {
        const { id, answer } = decodeEnd(frame);
        const sink = this.streams.get(id);
        this.streams.delete(id);
        sink?.end(answer);
        return;
      }
      case FrameType.push: {
        const push = decodePush(frame);
        if (push?.kind === "leaving") this.leaving = true;
        if (push !== undefined) this.owner.pushed(this, push);
        return;
      }
      case FrameType.welcome:
        return this.onWelcome(decodeWelcome(frame));
      case FrameType.refused:
        this.refusal = fromWireError(decodeRefused(frame));
        this.carrier.close();
        return;
      case FrameType.goodbye:
        this.leaving = true;
        return;
      default:
        throw new MalformedBytes(`a node does not send frames of type ${frame[0]}`);
    }
  }

  private onResponse(frame: Uint8Array): void {
    const { id, answer } = decodeResponse(frame);
    const call = this.calls.get(id);
    if (call === undefined) {
      // A stream that the node refuses to open may be answered as a call is.
      const sink = this.streams.get(id);
      this.streams.delete(id);
      sink?.end(answer);
      return;
    }
    this.calls.delete(id);
    call.connection = undefined;
    if (answer.ok) this.owner.answered(call, answer.body);
    else this.owner.refused(call, fromWireError(answer.error));
  }

  private onWelcome(welcome: Hello): void {
    if (this.state !== "greeting") throw new MalformedBytes("a second welcome");
    const negotiation = negotiate(this.hello, welcome);
    if (!negotiation.ok) {
      this.refusal = fromWireError(negotiation.error);
      this.carrier.close();
      return;
    }
    this.state = "open";
    this.node = welcome.node;
    this.cluster = welcome.cluster;
    this.owner.opened(this);
  }

  private onClose(reason: string): void {
    if (this.state === "closed") return;
    this.state = "closed";
    const calls = this.calls.all();
    this.calls.clear();
    for (const call of calls) call.connection = undefined;
    const sinks = [...this.streams.values()];
    this.streams.clear();
    this.owner.closed(this, reason, this.refusal, calls);
    for (const sink of sinks) sink.end(undefined);
  }
}

/** What a node says of who leads: in pushes, and in the details of NOT_LEADER as { term, leader, address }. */
export interface LeaderHint {
  readonly node: NodeId | undefined;
  readonly address: string;
  readonly term: number;
}

export function leaderHint(error: UnumError): LeaderHint | undefined {
  const { leader, address, term } = error.details;
  if (typeof term !== "number" || typeof leader !== "string" || !isNodeId(leader)) return undefined;
  return { node: leader, address: typeof address === "string" ? address : "", term };
}

export function readU64(body: Uint8Array): number {
  return new Reader(body).u64();
}
