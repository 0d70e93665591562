/**
 * Many watches of one prefix, and how fast events reach them all. It speaks just so much HTTP/2 as this needs, over plain sockets:
 * what the client costs would otherwise be most of what is measured.
 */
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { grpcFrame, protobufField, putRequest } from "./h2load.ts";

const frame = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const endStream = 1;
const acknowledged = 1;
const windowBytes = 1 << 30;

function frameOf(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** Literals only, without Huffman coding and without a table: nothing to remember between requests. */
function headBlock(path: string): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  return Buffer.concat([
    Buffer.from([0x83, 0x86, 0x04]),
    text(path),
    Buffer.from([0x01]),
    text("localhost"),
    Buffer.from([0x0f, 0x10]),
    text("application/grpc"),
    Buffer.from([0x00]),
    text("te"),
    text("trailers"),
  ]);
}

/** One connection. Messages of all its streams go to `onMessage`, the end of a stream to `onEnd`. */
class GrpcConnection {
  onMessage: (message: Buffer) => void = () => undefined;
  onEnd: () => void = () => undefined;
  failure: Error | undefined;
  private readonly socket: Socket;
  private rest: Buffer = Buffer.alloc(0);
  /** What has come of a message that is not whole yet, by stream. */
  private readonly partial = new Map<number, Buffer>();
  private consumed = 0;
  private nextStream = 1;

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Buffer) => this.read(bytes));
    socket.on("error", (error) => {
      this.failure = error;
    });
    // SETTINGS_INITIAL_WINDOW_SIZE, then as much for the connection: flow control is not what is measured.
    const settings = Buffer.concat([Buffer.from([0, 4]), uint32(windowBytes)]);
    socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    socket.write(frameOf(frame.settings, 0, 0, settings));
    socket.write(frameOf(frame.windowUpdate, 0, 0, uint32(windowBytes)));
  }

  static async open(port: number): Promise<GrpcConnection> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    return new GrpcConnection(socket);
  }

  /** Begins a call and returns its stream. */
  call(path: string): number {
    const stream = this.nextStream;
    this.nextStream += 2;
    this.socket.write(frameOf(frame.headers, 4, stream, headBlock(path)));
    return stream;
  }

  send(stream: number, message: Uint8Array, flags = 0): void {
    this.socket.write(frameOf(frame.data, flags, stream, message));
  }

  close(): void {
    this.socket.destroy();
  }

  private read(bytes: Buffer): void {
    const all = this.rest.length === 0 ? bytes : Buffer.concat([this.rest, bytes]);
    let at = 0;
    while (all.length - at >= 9) {
      const length = all.readUIntBE(at, 3);
      if (all.length - at < 9 + length) break;
      this.take(all[at + 3] ?? 0, all[at + 4] ?? 0, all.readUInt32BE(at + 5) & 0x7fff_ffff, all.subarray(at + 9, at + 9 + length));
      at += 9 + length;
    }
    this.rest = all.subarray(at);
  }

  private take(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === frame.data) this.takeData(stream, payload);
    if (type === frame.settings && (flags & acknowledged) === 0)
      this.socket.write(frameOf(frame.settings, acknowledged, 0, Buffer.alloc(0)));
    if (type === frame.ping && (flags & acknowledged) === 0) this.socket.write(frameOf(frame.ping, acknowledged, 0, payload));
    if (type === frame.reset || type === frame.goAway) this.failure = new Error(`the server ended stream ${stream}`);
    if ((type === frame.data || type === frame.headers) && (flags & endStream) !== 0) this.onEnd();
  }

  private takeData(stream: number, payload: Buffer): void {
    this.consumed += payload.length;
    if (this.consumed > windowBytes / 4) {
      this.socket.write(frameOf(frame.windowUpdate, 0, 0, uint32(this.consumed)));
      this.socket.write(frameOf(frame.windowUpdate, 0, stream, uint32(this.consumed)));
      this.consumed = 0;
    }
    const before = this.partial.get(stream);
    const all = before === undefined ? payload : Buffer.concat([before, payload]);
    let at = 0;
    while (all.length - at >= 5 && all.length - at - 5 >= all.readUInt32BE(at + 1)) {
      const end = at + 5 + all.readUInt32BE(at + 1);
      this.onMessage(all.subarray(at + 5, end));
      at = end;
    }
    if (at === all.length) this.partial.delete(stream);
    else this.partial.set(stream, Buffer.from(all.subarray(at)));
  }
}

const createdField = 3;
const canceledField = 4;
const eventsField = 11;

/** Counts one kind of field of a message without decoding it. Only varints and lengths occur in a `WatchResponse`. */
function countFields(message: Buffer): { readonly created: number; readonly canceled: number; readonly events: number } {
  const found = { created: 0, canceled: 0, events: 0 };
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const number = varint();
    if (tag >> 3 === createdField) found.created += number;
    if (tag >> 3 === canceledField) found.canceled += number;
    if (tag >> 3 === eventsField) found.events++;
    if ((tag & 7) === 2) at += number;
  }
  return found;
}

/** All watches of a run. */
export class Watchers {
  readonly count: number;
  private readonly connections: readonly GrpcConnection[];
  private readonly port: number;
  private created = 0;
  private canceled = 0;
  private events = 0;
  private wanted = 0;
  private reached: () => void = () => undefined;

  private constructor(port: number, connections: readonly GrpcConnection[], count: number) {
    this.port = port;
    this.connections = connections;
    this.count = count;
    for (const connection of connections) {
      connection.onMessage = (message) => {
        const { created, canceled, events } = countFields(message);
        this.created += created;
        this.canceled += canceled;
        this.events += events;
        if (this.events >= this.wanted && events > 0) this.reached();
      };
    }
  }

  /** `count` watches of the prefix at one member, evenly over so many connections, each with one stream. Fulfils when all are created. */
  static async open(port: number, prefix: string, count: number, connections: number): Promise<Watchers> {
    const opened = await Promise.all(Array.from({ length: connections }, () => GrpcConnection.open(port)));
    const watchers = new Watchers(port, opened, count);
    const end = Buffer.from(prefix);
    end[end.length - 1] = (end[end.length - 1] ?? 0) + 1;
    const range = Buffer.concat([protobufField(1, Buffer.from(prefix)), protobufField(2, end)]);
    const create = grpcFrame(protobufField(1, range));
    opened.forEach((connection, at) => {
      const stream = connection.call("/etcdserverpb.Watch/Watch");
      for (let i = at; i < count; i += connections) connection.send(stream, create);
    });
    for (let attempt = 0; watchers.created < count; attempt++) {
      if (attempt > 600) throw new Error(`${watchers.created} of ${count} watches were created, ${watchers.canceled} canceled`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return watchers;
  }

  /** Events per second from the first of `puts` writes (so many of them in flight) until every watch has been told of every one. */
  async deliver(key: string, valueBytes: number, puts: number, inflight: number): Promise<number> {
    const writer = await GrpcConnection.open(this.port);
    const begun = this.events;
    this.wanted = begun + puts * this.count;
    const complete = new Promise<void>((resolve) => {
      this.reached = resolve;
    });
    const body = putRequest(key, valueBytes);
    let sent = 0;
    const put = (): void => {
      if (sent++ < puts) writer.send(writer.call("/etcdserverpb.KV/Put"), body, endStream);
    };
    writer.onEnd = put;
    const startedMs = performance.now();
    for (let i = 0; i < inflight; i++) put();
    const timer = setTimeout(() => this.reached(), 60_000);
    await complete;
    clearTimeout(timer);
    const seconds = (performance.now() - startedMs) / 1000;
    writer.close();
    const delivered = this.events - begun;
    const failure = [writer, ...this.connections].find((connection) => connection.failure !== undefined)?.failure;
    if (delivered !== puts * this.count || failure !== undefined)
      throw new Error(
        `${delivered} of ${puts * this.count} events came, ${this.canceled} watches were canceled: ${failure?.message ?? ""}`,
      );
    return delivered / seconds;
  }

  close(): void {
    for (const connection of this.connections) connection.close();
  }
}
