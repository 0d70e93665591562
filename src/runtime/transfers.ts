import type { GroupId, NodeId, Probe, ReplicaId } from "../base/index.ts";
import type { Clock, Logger } from "../ports/index.ts";
import type { Replica } from "../replica/index.ts";
import type { SnapshotFile, SnapshotReceiver } from "../storage/index.ts";
import {
  FrameType,
  decodeSnapshotAck,
  decodeSnapshotBegin,
  decodeSnapshotChunk,
  decodeSnapshotFailed,
  decodeSnapshotReady,
  encodeSnapshotAck,
  encodeSnapshotBegin,
  encodeSnapshotChunk,
  encodeSnapshotFailed,
  encodeSnapshotReady,
} from "../wire/index.ts";
import type { SnapshotBegin } from "../wire/index.ts";

const chunkBytes = 256 * 1024;
/** Sent and not yet durable on the other side. */
const windowBytes = 4 * 1024 * 1024;
/** No answer for so long: the transfer has failed, and raft asks anew. */
const silenceMs = 10_000;

export interface TransfersHost {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly probe?: Probe | undefined;
  replica(group: GroupId): Replica | undefined;
  /** False: there is no connection now. */
  sendBulk(to: NodeId, frame: Uint8Array): boolean;
}

interface Outgoing {
  readonly id: number;
  readonly to: NodeId;
  readonly replica: Replica;
  readonly target: ReplicaId;
  readonly file: SnapshotFile;
  begun: boolean;
  sent: number;
  acked: number;
  reading: boolean;
  lastHeardMs: number;
}

interface Incoming {
  readonly key: string;
  readonly begin: SnapshotBegin;
  readonly replica: Replica;
  readonly receiver: SnapshotReceiver;
  readonly reply: (frame: Uint8Array) => void;
  /** Chunks are written one after the other; the chain never rejects. */
  tail: Promise<void>;
  finished: boolean;
}

/**
 * Snapshots on their way between nodes: chunks over the bulk connection, acknowledged once durable
 * there, resumed where the receiver stopped. Raft hears only of the end.
 */
export class Transfers {
  private readonly host: TransfersHost;
  private readonly outgoing = new Map<number, Outgoing>();
  private readonly incoming = new Map<string, Incoming>();
  private lastId = 0;
  private closed = false;

  constructor(host: TransfersHost) {
    this.host = host;
  }

  send(replica: Replica, target: ReplicaId, to: NodeId, file: SnapshotFile): void {
    for (const other of this.outgoing.values()) if (other.replica === replica && other.target === target) return;
    this.lastId++;
    const transfer: Outgoing = {
      id: this.lastId,
      to,
      replica,
      target,
      file,
      begun: false,
      sent: 0,
      acked: 0,
      reading: false,
      lastHeardMs: this.host.clock.now(),
    };
    this.outgoing.set(transfer.id, transfer);
    this.begin(transfer);
  }

  private begin(transfer: Outgoing): void {
    const { replica, target, file } = transfer;
    transfer.begun = this.host.sendBulk(
      transfer.to,
      encodeSnapshotBegin({
        transfer: transfer.id,
        group: replica.group,
        from: replica.id,
        to: target,
        term: replica.term,
        meta: file.meta,
        bytes: file.bytes,
      }),
    );
  }

  /** Called on every tick: begins what waits for a connection, gives up on what is silent. */
  tick(): void {
    const now = this.host.clock.now();
    for (const transfer of this.outgoing.values()) {
      const silent = now - transfer.lastHeardMs > silenceMs;
      if (silent) this.host.probe?.("snapshot-transfer-silent");
      if (silent || !transfer.replica.isLeader) this.end(transfer, false);
      else if (!transfer.begun) this.begin(transfer);
    }
  }

  private end(transfer: Outgoing, ok: boolean): void {
    if (!this.outgoing.delete(transfer.id)) return;
    if (ok) transfer.replica.snapshotSent(transfer.target, transfer.file.meta.index);
    else transfer.replica.snapshotFailed(transfer.target);
  }

  /** An answer to what this node sends. */
  answer(from: NodeId, frame: Uint8Array): void {
    switch (frame[0]) {
      case FrameType.snapshotReady: {
        const { transfer: id, received } = decodeSnapshotReady(frame);
        const transfer = this.find(id, from);
        if (transfer === undefined) return;
        transfer.sent = Math.min(received, transfer.file.bytes);
        transfer.acked = transfer.sent;
        void this.pump(transfer);
        break;
      }
      case FrameType.snapshotAck: {
        const { transfer: id, received, done } = decodeSnapshotAck(frame);
        const transfer = this.find(id, from);
        if (transfer === undefined) return;
        transfer.acked = Math.max(transfer.acked, received);
        if (done) this.end(transfer, true);
        else void this.pump(transfer);
        break;
      }
      case FrameType.snapshotFailed: {
        const { transfer: id, reason } = decodeSnapshotFailed(frame);
        const transfer = this.find(id, from);
        if (transfer === undefined) return;
        this.host.logger.warn("a snapshot was refused by its receiver", { group: transfer.replica.group, node: from, reason });
        this.end(transfer, false);
        break;
      }
    }
  }

  private find(id: number, from: NodeId): Outgoing | undefined {
    const transfer = this.outgoing.get(id);
    if (transfer === undefined || transfer.to !== from) return undefined;
    transfer.lastHeardMs = this.host.clock.now();
    return transfer;
  }

  private async pump(transfer: Outgoing): Promise<void> {
    if (transfer.reading) return;
    transfer.reading = true;
    try {
      while (this.outgoing.has(transfer.id) && transfer.sent < transfer.file.bytes && transfer.sent - transfer.acked < windowBytes) {
        const bytes = await transfer.file.read(transfer.sent, Math.min(chunkBytes, transfer.file.bytes - transfer.sent));
        if (bytes.length === 0) throw new Error("the snapshot file is shorter than its header says");
        if (!this.host.sendBulk(transfer.to, encodeSnapshotChunk({ transfer: transfer.id, offset: transfer.sent, bytes })))
          throw new Error("the connection was lost");
        transfer.sent += bytes.length;
      }
    } catch (error) {
      this.host.logger.warn("a snapshot could not be sent", { group: transfer.replica.group, node: transfer.to, error: String(error) });
      this.end(transfer, false);
    } finally {
      transfer.reading = false;
    }
  }

  /** A frame of a snapshot that another node sends to this one. */
  receive(from: NodeId, frame: Uint8Array, reply: (frame: Uint8Array) => void): void {
    switch (frame[0]) {
      case FrameType.snapshotBegin:
        void this.beginReceiving(from, decodeSnapshotBegin(frame), reply);
        break;
      case FrameType.snapshotChunk: {
        const chunk = decodeSnapshotChunk(frame);
        const incoming = this.incoming.get(`${from}/${chunk.transfer}`);
        if (incoming === undefined || incoming.finished) return;
        const bytes = chunk.bytes.slice();
        incoming.tail = incoming.tail.then(() => this.store(incoming, chunk.offset, bytes));
        break;
      }
    }
  }

  private async beginReceiving(from: NodeId, begin: SnapshotBegin, reply: (frame: Uint8Array) => void): Promise<void> {
    const key = `${from}/${begin.transfer}`;
    const replica = this.host.replica(begin.group);
    const fail = (reason: string): void => reply(encodeSnapshotFailed({ transfer: begin.transfer, reason }));
    if (this.closed || replica === undefined || replica.id !== begin.to) {
      fail("there is no such replica here");
      return;
    }
    if (this.incoming.has(key)) return;
    for (const other of this.incoming.values()) if (other.replica === replica && !other.finished) this.drop(other);
    try {
      const receiver = await replica.log.receiveSnapshot(begin.meta, begin.bytes);
      this.incoming.set(key, { key, begin, replica, receiver, reply, tail: Promise.resolve(), finished: false });
      reply(encodeSnapshotReady({ transfer: begin.transfer, received: receiver.received }));
      if (receiver.received >= begin.bytes) await this.store(this.incoming.get(key) as Incoming, receiver.received, new Uint8Array(0));
    } catch (error) {
      fail(String(error));
    }
  }

  private async store(incoming: Incoming, offset: number, bytes: Uint8Array): Promise<void> {
    if (incoming.finished || this.closed) return;
    const { begin, reply, receiver, replica } = incoming;
    try {
      const received = bytes.length === 0 ? receiver.received : await receiver.write(offset, bytes);
      if (received < begin.bytes) {
        reply(encodeSnapshotAck({ transfer: begin.transfer, received, done: false }));
        return;
      }
      incoming.finished = true;
      const file = await receiver.finish();
      this.incoming.delete(incoming.key);
      if (this.closed) return;
      replica.snapshotReceived(file, begin.from, begin.term);
      reply(encodeSnapshotAck({ transfer: begin.transfer, received, done: true }));
    } catch (error) {
      this.drop(incoming);
      reply(encodeSnapshotFailed({ transfer: begin.transfer, reason: String(error) }));
    }
  }

  private drop(incoming: Incoming): void {
    incoming.finished = true;
    this.incoming.delete(incoming.key);
  }

  /** The replica is gone or stopped. */
  forget(replica: Replica): void {
    for (const transfer of [...this.outgoing.values()]) if (transfer.replica === replica) this.outgoing.delete(transfer.id);
    for (const incoming of [...this.incoming.values()]) if (incoming.replica === replica) this.drop(incoming);
  }

  close(): void {
    this.closed = true;
    this.outgoing.clear();
    this.incoming.clear();
  }
}
