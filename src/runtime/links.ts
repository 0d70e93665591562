import type { GroupId, NodeId, Prng } from "../base/index.ts";
import type { Clock, Logger, Streams } from "../ports/index.ts";
import type { Message } from "../raft/index.ts";
import {
  FrameType,
  decodeGroupMessage,
  decodeHeartbeats,
  encodeClockAnswer,
  encodeGoodbye,
  encodeGroupMessage,
  encodeGroupMessageHead,
  encodeHeartbeats,
  groupMessageBody,
  heartbeatOf,
  messageOf,
} from "../wire/index.ts";
import type { Carrier, ConnectionPurpose, Heartbeat, Hello } from "../wire/index.ts";
import { PeerConnection } from "./peer.ts";

export interface LinksOptions {
  readonly streams: Streams;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly logger: Logger;
  hello(purpose: ConnectionPurpose): Hello;
  /** How much of its memory this node has left, of 255: every frame of heartbeats says it. */
  headroom(): number;
  onHeadroom(node: NodeId, headroom: number): void;
  onMessage(from: NodeId, group: GroupId, message: Message): void;
  /** A frame between replicas beside raft: the comparison of their states. */
  onState(frame: Uint8Array): void;
  /** The answer to a question about the node's wall clock. */
  onClock(node: NodeId, frame: Uint8Array): void;
  /** A frame of a bulk connection that somebody dialled to us: part of a snapshot for us. `reply` goes back on the same connection. */
  onBulk(from: NodeId, frame: Uint8Array, reply: (frame: Uint8Array) => void): void;
  /** A frame that came back on our own bulk connection: an answer to a snapshot that we send. */
  onBulkAnswer(from: NodeId, frame: Uint8Array): void;
  /** Our control connection to the node ended without a goodbye; another is being made. */
  onBroken(node: NodeId): void;
  /** Our control connection to the node could not be made. */
  onLost(node: NodeId): void;
  onBack(node: NodeId): void;
  /** The node does not answer on connections that look open: they were ended. */
  onSilent(node: NodeId): void;
  /** A node answered where another one was expected. */
  onMet(node: NodeId, address: string): void;
  /** Another member says that this node was removed from the cluster. */
  onRemoved(): void;
}

interface Peer {
  readonly control: PeerConnection;
  readonly entries: PeerConnection;
  readonly bulk: PeerConnection;
  readonly heartbeats: Heartbeat[];
  /** There is more among them than commit indexes. */
  isUrgent: boolean;
  /** Of the node, on connections that it opened; when we learned of it, before that. */
  lastHeardMs: number;
  /** When the connection that we opened last proved that what we send on it arrives, and that we hear of it. */
  provenMs: number;
}

/** A connection that proved itself within this time by an answer is not asked for one. */
const pingEveryMs = 1_000;
/** A connection without an answer to our pings for so long is broken, whatever the operating system believes. */
const silenceMsMax = 3_000;

/**
 * The connections to the other nodes: one of each class in each direction, so that a heartbeat never
 * waits behind entries, nor entries behind a snapshot.
 */
export class Links {
  private readonly options: LinksOptions;
  private readonly peers = new Map<NodeId, Peer>();
  private readonly inbound = new Map<Carrier, NodeId>();
  private lastPingMs = 0;
  private readonly withHeartbeats = new Set<Peer>();

  constructor(options: LinksOptions) {
    this.options = options;
  }

  /** Who belongs to the cluster, and where: connections to others are closed. */
  setPeers(peers: ReadonlyMap<NodeId, string>): void {
    for (const [node, peer] of this.peers) {
      if (peers.has(node)) continue;
      this.peers.delete(node);
      this.withHeartbeats.delete(peer);
      for (const connection of [peer.control, peer.entries, peer.bulk]) connection.close();
      // It dials again and hears that it is no member any more.
      for (const [carrier, from] of this.inbound) if (from === node) carrier.destroy();
    }
    for (const [node, address] of peers) {
      const peer = this.peers.get(node);
      if (peer === undefined) this.add(node, address);
      else for (const connection of [peer.control, peer.entries, peer.bulk]) connection.setAddress(address);
    }
  }

  private add(node: NodeId, address: string): void {
    const { options } = this;
    const ignore = (): void => undefined;
    const control = new PeerConnection(options, node, address, "control", {
      onBroken: () => options.onBroken(node),
      onLost: () => options.onLost(node),
      onOpen: () => {
        this.proven(node);
        options.onBack(node);
      },
      onFrame: (frame) => {
        this.proven(node);
        if (frame[0] === FrameType.clockAnswer) options.onClock(node, frame);
      },
    });
    const entries = new PeerConnection(options, node, address, "entries", {
      onBroken: ignore,
      onLost: ignore,
      onOpen: ignore,
      onFrame: ignore,
    });
    const bulk = new PeerConnection(options, node, address, "bulk", {
      onBroken: ignore,
      onLost: ignore,
      onOpen: ignore,
      onFrame: (frame) => options.onBulkAnswer(node, frame),
    });
    this.peers.set(node, { control, entries, bulk, heartbeats: [], isUrgent: false, lastHeardMs: options.clock.now(), provenMs: 0 });
    control.dial();
    entries.dial();
  }

  private proven(node: NodeId): void {
    const peer = this.peers.get(node);
    if (peer !== undefined) peer.provenMs = this.options.clock.now();
  }

  /** Ends the connections that others have made: they come again, and introduce themselves. */
  meetAgain(): void {
    for (const carrier of [...this.inbound.keys()]) carrier.destroy();
  }

  /** Called with every tick: where nothing else has shown of late that what we send arrives, an empty heartbeat asks for an answer. */
  tick(): void {
    const now = this.options.clock.now();
    if (now - this.lastPingMs < pingEveryMs) return;
    this.lastPingMs = now;
    for (const [node, peer] of this.peers) {
      if (!peer.control.isOpen || now - peer.provenMs < pingEveryMs) continue;
      if (now - peer.provenMs < silenceMsMax) {
        peer.control.send(encodeHeartbeats([], this.options.headroom()));
        continue;
      }
      for (const connection of [peer.control, peer.entries, peer.bulk]) connection.reset();
      this.options.onSilent(node);
    }
  }

  isConnected(node: NodeId): boolean {
    return this.peers.get(node)?.control.isOpen === true;
  }

  /** Whether each of the peers is connected. */
  get isComplete(): boolean {
    for (const peer of this.peers.values()) if (!peer.control.isOpen) return false;
    return true;
  }

  /** Milliseconds since the node was last heard of on a connection of its own, or since this node knows of it; 0 for one that is no peer. */
  silentMs(node: NodeId): number {
    const now = this.options.clock.now();
    return now - (this.peers.get(node)?.lastHeardMs ?? now);
  }

  send(to: NodeId, group: GroupId, message: Message): void {
    const peer = this.peers.get(to);
    if (peer === undefined) return;
    const beat = heartbeatOf(group, message);
    if (beat !== undefined) {
      peer.heartbeats.push(beat);
      if (beat.kind !== "commit") peer.isUrgent = true;
      this.withHeartbeats.add(peer);
      return;
    }
    switch (message.type) {
      case "append":
      case "append-response":
        peer.entries.send(encodeGroupMessageHead(group, message), groupMessageBody(message));
        break;
      default:
        peer.control.send(encodeGroupMessage(group, message));
    }
  }

  /** Rare small frames; one that cannot be sent now is dropped. */
  sendControl(to: NodeId, frame: Uint8Array): void {
    this.peers.get(to)?.control.send(frame);
  }

  /** False: no connection now. */
  sendBulk(to: NodeId, frame: Uint8Array): boolean {
    return this.peers.get(to)?.bulk.send(frame) ?? false;
  }

  bulkBufferedBytes(to: NodeId): number {
    return this.peers.get(to)?.bulk.bufferedBytes ?? 0;
  }

  /** Of all connections that this node opened. */
  get bufferedBytes(): number {
    let bytes = 0;
    for (const { bulk, control, entries } of this.peers.values())
      bytes += bulk.bufferedBytes + control.bufferedBytes + entries.bufferedBytes;
    return bytes;
  }

  dialBulk(to: NodeId): void {
    this.peers.get(to)?.bulk.dial();
  }

  isBulkOpen(to: NodeId): boolean {
    return this.peers.get(to)?.bulk.isOpen === true;
  }

  /** What the turn has to say leaves, before anything is applied. Heartbeats of all groups are one frame per node. */
  flush(): void {
    for (const peer of this.withHeartbeats) if (peer.isUrgent) this.sendHeartbeats(peer);
    for (const { control, entries } of this.peers.values()) {
      control.flush();
      entries.flush();
    }
  }

  /** The rest, behind the answers that the turn has given: followers need not know of a commit before the client does. */
  flushLast(): void {
    for (const peer of this.withHeartbeats) this.sendHeartbeats(peer);
  }

  private sendHeartbeats(peer: Peer): void {
    this.withHeartbeats.delete(peer);
    peer.isUrgent = false;
    peer.control.send(encodeHeartbeats(peer.heartbeats.splice(0), this.options.headroom()));
  }

  /** Takes over a connection that another node opened; it has said who it is. */
  accept(node: NodeId, purpose: ConnectionPurpose, carrier: Carrier): void {
    this.inbound.set(carrier, node);
    carrier.handle({
      onFrame: (frame, own) => this.receive(node, purpose, carrier, frame, own),
      onDrain: () => undefined,
      onClose: () => this.inbound.delete(carrier),
    });
    // Whoever reaches us can be reached: do not wait for a back-off to end.
    this.peers.get(node)?.control.dialNow();
    this.peers.get(node)?.entries.dialNow();
  }

  private receive(node: NodeId, purpose: ConnectionPurpose, carrier: Carrier, frame: Uint8Array, own: boolean): void {
    const peer = this.peers.get(node);
    if (peer !== undefined) peer.lastHeardMs = this.options.clock.now();
    try {
      switch (frame[0]) {
        case FrameType.heartbeats: {
          const { headroom, heartbeats } = decodeHeartbeats(frame);
          this.options.onHeadroom(node, headroom);
          if (heartbeats.length === 0) carrier.send(encodeHeartbeats([], this.options.headroom()));
          for (const beat of heartbeats) {
            // An answer: our heartbeats arrive, and its answers do.
            if (beat.kind === "heartbeat-response" && peer !== undefined) peer.provenMs = peer.lastHeardMs;
            this.options.onMessage(node, beat.group, messageOf(beat));
          }
          break;
        }
        case FrameType.raft: {
          const { group, message } = decodeGroupMessage(frame, { copy: !own });
          this.options.onMessage(node, group, message);
          break;
        }
        case FrameType.clockQuestion:
          carrier.send(encodeClockAnswer(frame, this.options.clock.wall()));
          break;
        case FrameType.stateHash:
        case FrameType.stateWanted:
          this.options.onState(frame);
          break;
        case FrameType.goodbye:
          for (const connection of [peer?.control, peer?.entries, peer?.bulk]) connection?.saidGoodbye();
          break;
        default:
          if (purpose === "bulk") this.options.onBulk(node, frame, (answer) => carrier.send(answer));
          else carrier.destroy();
      }
    } catch (error) {
      this.options.logger.warn("a peer sent what cannot be read; its connection is closed", { node, error: String(error) });
      carrier.destroy();
    }
  }

  /** Says goodbye, so that nobody takes the closed connections for a crash, and closes them. */
  close(): void {
    for (const peer of this.peers.values()) {
      peer.control.send(encodeGoodbye("stopping"));
      for (const connection of [peer.control, peer.entries, peer.bulk]) connection.close();
    }
    this.peers.clear();
    for (const carrier of this.inbound.keys()) carrier.close();
    this.inbound.clear();
  }
}
