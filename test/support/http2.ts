/** HTTP/2 by hand: frames as a test wants them, right or wrong, and what comes back. */
import { once } from "node:events";
import { connect } from "node:net";
import type { Socket } from "node:net";

export const Frame = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const preface: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

export function frame(type: number, flags: number, stream: number, payload: Uint8Array | readonly number[] = []): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, Uint8Array.from(payload)]);
}

export const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

export const settings = (...pairs: readonly (readonly [number, number])[]): Buffer =>
  frame(
    Frame.settings,
    0,
    0,
    Buffer.concat(pairs.map(([name, value]) => Buffer.concat([Buffer.from([name >>> 8, name & 255]), u32(value)]))),
  );

/** A head as literals that nobody need remember. Texts are latin1. */
export function headBlock(fields: readonly (readonly [string, string])[]): Buffer {
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value, "latin1");
    if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
    const length: number[] = [127];
    let rest = bytes.length - 127;
    for (; rest >= 128; rest = Math.floor(rest / 128)) length.push((rest % 128) | 128);
    return Buffer.concat([Buffer.from([...length, rest]), bytes]);
  };
  return Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)])));
}

/** The head of a gRPC call; `more` comes behind it. */
export function grpcHead(path: string, more: readonly (readonly [string, string])[] = []): Buffer {
  return headBlock([
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
    ...more,
  ]);
}

export function grpcMessage(body: Uint8Array, flag = 0, length: number = body.length): Buffer {
  return Buffer.concat([Buffer.from([flag]), u32(length), body]);
}

/** One connection. What comes back is counted; streams end by an end flag or a reset. */
export class Wire {
  readonly socket: Socket;
  readonly ended = new Set<number>();
  readonly resets = new Map<number, number>();
  goaway: number | undefined;
  receivedBytes = 0;
  closed = false;
  private readonly waiters: (() => void)[] = [];
  private held: Buffer = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.closed = true;
      this.wake();
    });
    socket.on("data", (chunk: Buffer) => this.take(chunk));
  }

  /** A connection that says nothing yet. */
  static async open(port: number): Promise<Wire> {
    const socket = connect(port, "127.0.0.1");
    const wire = new Wire(socket);
    await once(socket, "connect");
    return wire;
  }

  /** A connection that has said its preface and its settings. */
  static async greet(port: number, ...pairs: readonly (readonly [number, number])[]): Promise<Wire> {
    const wire = await Wire.open(port);
    wire.send(preface, settings(...pairs));
    return wire;
  }

  /** Whether the socket would take more at once. */
  send(...frames: readonly Uint8Array[]): boolean {
    return this.closed || this.socket.destroyed ? true : this.socket.write(Buffer.concat(frames));
  }

  /** Waits while the other side takes nothing, up to `msMax`; false when it has not taken all by then. */
  async drained(msMax: number): Promise<boolean> {
    const end = performance.now() + msMax;
    while (!this.closed && this.socket.writableLength > 0) {
      if (performance.now() > end) return false;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return true;
  }

  /** Until the stream has ended, whichever way; false when it has not by then. */
  async settled(stream: number, msMax = 10_000): Promise<boolean> {
    return this.until(() => this.ended.has(stream) || this.goaway !== undefined, msMax);
  }

  async until(condition: () => boolean, msMax = 10_000): Promise<boolean> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.wake();
    }, msMax);
    while (!condition() && !this.closed && !late) await new Promise<void>((resolve) => this.waiters.push(resolve));
    clearTimeout(timer);
    return condition() || this.closed;
  }

  close(): void {
    this.socket.destroy();
  }

  private take(chunk: Buffer): void {
    this.receivedBytes += chunk.length;
    let bytes = this.held.length === 0 ? chunk : Buffer.concat([this.held, chunk]);
    while (bytes.length >= 9) {
      const end = 9 + bytes.readUIntBE(0, 3);
      if (bytes.length < end) break;
      const id = bytes.readUInt32BE(5) & 0x7fff_ffff;
      const type = bytes[3];
      if ((type === Frame.data || type === Frame.headers) && ((bytes[4] ?? 0) & 1) !== 0) this.ended.add(id);
      if (type === Frame.reset) {
        this.ended.add(id);
        this.resets.set(id, bytes.readUInt32BE(9));
      }
      if (type === Frame.goaway) this.goaway = bytes.readUInt32BE(13);
      bytes = bytes.subarray(end);
    }
    this.held = Buffer.from(bytes);
    this.wake();
  }

  private wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}
