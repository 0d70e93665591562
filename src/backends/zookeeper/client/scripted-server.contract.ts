import { Prng, UnumError, utf8Decode } from "../../../base/index.ts";
import { VirtualClock } from "../../../api/testing/virtual-clock.contract.ts";
import { StreamError, silentLogger } from "../../../ports/index.ts";
import type { Address, Stream, StreamHandlers } from "../../../ports/index.ts";
import { openZooKeeper } from "./client.ts";
import type { ZooKeeper, ZooKeeperOptions } from "./client.ts";
import { Op, Xid } from "./codes.ts";
import { FrameSplitter } from "./frames.ts";
import { JuteReader, JuteWriter } from "./jute.ts";

/** What a server does with a request. The `drop`s end its connection, before or after the effect. */
export type Fault = "serve" | "silence" | "drop-before" | "drop-after" | Uint8Array;

export interface Received {
  readonly atMs: number;
  readonly connection: number;
  readonly xid: number;
  readonly op: number;
  readonly path: string;
  readonly body: JuteReader;
}

/** One end of a connection that a test holds. */
class End implements Stream {
  readonly peer = "script";
  readonly bufferedBytes = 0;
  other: End | undefined;
  private readonly clock: VirtualClock;
  private handlers: StreamHandlers | undefined;
  open = true;

  constructor(clock: VirtualClock) {
    this.clock = clock;
  }

  handle(handlers: StreamHandlers): void {
    this.handlers = handlers;
  }

  write(bytes: Uint8Array): void {
    const copy = bytes.slice();
    if (this.open)
      this.clock.defer(() => {
        if (this.other?.open === true) this.other.handlers?.onData(copy);
      });
  }

  pause(): void {
    this.clock.defer(() => undefined);
  }

  resume(): void {
    this.clock.defer(() => undefined);
  }

  close(): void {
    this.destroy();
  }

  destroy(): void {
    if (!this.open) return;
    this.open = false;
    this.clock.defer(() => this.other?.lose());
  }

  private lose(): void {
    if (!this.open) return;
    this.open = false;
    this.handlers?.onClose(undefined);
  }
}

/**
 * Servers of one ensemble in one object: sessions, a flat set of nodes and the last transaction, as far as the client's rules need them.
 * What they do wrong is chosen by the test.
 */
export class ScriptedEnsemble {
  readonly clock = new VirtualClock();
  readonly received: Received[] = [];
  readonly nodes = new Map<string, { data: Uint8Array; version: number }>();
  readonly dialled: number[] = [];
  /** Ports of servers that do not know of the last transactions. */
  readonly behind = new Set<number>();
  readonly down = new Set<number>();
  zxid = 1n;
  timeoutMs = 6_000;
  expired = false;
  refusesAuth = false;
  connections = 0;
  intercept: (request: Received) => Fault = () => "serve";
  private ends: End[] = [];

  open(options: Partial<ZooKeeperOptions> = {}): ZooKeeper {
    const environment = {
      clock: this.clock,
      prng: new Prng(1),
      logger: silentLogger,
      dial: (address: Address) => this.dial(address),
    };
    return openZooKeeper(environment, { servers: "h:1", ...options });
  }

  /** Ops and paths, pings aside. */
  get log(): readonly string[] {
    return this.received.filter(({ op }) => op !== Op.ping).map(({ op, path }) => `${op} ${path}`.trim());
  }

  cut(): void {
    for (const end of this.ends.splice(0)) end.destroy();
  }

  /** A frame to whoever is connected. */
  push(body: Uint8Array): void {
    for (const end of this.ends) end.write(new JuteWriter().buf(body).take());
  }

  pushEvent(type: number, path: string): void {
    this.push(new JuteWriter().int(Xid.event).long(-1n).int(0).int(type).int(3).text(path).take());
  }

  pushRaw(bytes: Uint8Array): void {
    for (const end of this.ends) end.write(bytes);
  }

  private dial({ port }: Address): Promise<Stream> {
    this.dialled.push(port);
    if (this.down.has(port)) return Promise.reject(new StreamError("refused", "nobody listens"));
    const [near, far] = [new End(this.clock), new End(this.clock)];
    near.other = far;
    far.other = near;
    this.ends.push(far);
    const connection = ++this.connections;
    let greeted = false;
    const splitter = new FrameSplitter(0xfffff, (body) => {
      if (greeted) return this.serve(far, connection, body);
      greeted = true;
      this.greet(far, port, new JuteReader(body));
    });
    far.handle({
      onData: (bytes) => splitter.push(bytes),
      onDrain: () => undefined,
      onClose: () => {
        this.ends = this.ends.filter((end) => end !== far);
      },
    });
    return Promise.resolve(near);
  }

  private greet(end: End, port: number, reader: JuteReader): void {
    reader.int();
    const seen = reader.long();
    reader.int();
    const session = reader.long();
    if (this.behind.has(port) && seen > 1n) return end.destroy();
    const writer = new JuteWriter().int(0);
    if (this.expired && session !== 0n) writer.int(0).long(0n).buf(new Uint8Array(16));
    else
      writer
        .int(this.timeoutMs)
        .long(session === 0n ? 77n : session)
        .buf(new Uint8Array(16).fill(9));
    end.write(new JuteWriter().buf(writer.bool(false).take()).take());
  }

  private serve(end: End, connection: number, body: Uint8Array): void {
    if (!end.open) return;
    const reader = new JuteReader(body.slice());
    const xid = reader.int();
    const op = reader.int();
    const hasPath = ![Op.ping, Op.auth, Op.setWatches, Op.setWatches2, Op.closeSession, Op.multi].some((other) => other === op);
    const request = { atMs: this.clock.now(), connection, xid, op, path: hasPath ? reader.text() : "", body: reader };
    this.received.push(request);
    const fault = this.intercept(request);
    if (fault === "drop-before") return end.destroy();
    if (fault === "silence") return;
    if (fault instanceof Uint8Array) return end.write(fault);
    const reply = new JuteWriter();
    const error = this.apply(request, reply);
    if (fault === "drop-after") return end.destroy();
    const header = new JuteWriter().int(xid).long(this.zxid).int(error);
    end.write(new JuteWriter().buf(header.raw(error === 0 ? reply.take() : new Uint8Array(0)).take()).take());
  }

  /** The error's number. */
  private apply({ body, op, path }: Received, reply: JuteWriter): number {
    const node = this.nodes.get(path);
    switch (op) {
      case Op.create2:
        if (node !== undefined) return -110;
        this.zxid++;
        this.nodes.set(path, { data: body.buf(), version: 0 });
        stat(reply.text(path), this.zxid, 0);
        return 0;
      case Op.setData:
        if (node === undefined) return -101;
        this.zxid++;
        node.data = body.buf();
        stat(reply, this.zxid, ++node.version);
        return 0;
      case Op.getData:
        if (node === undefined) return -101;
        stat(reply.buf(node.data), this.zxid, node.version);
        return 0;
      case Op.exists:
        if (node === undefined) return -101;
        stat(reply, this.zxid, node.version);
        return 0;
      case Op.auth:
        return this.refusesAuth ? -115 : 0;
      default:
        return 0;
    }
  }
}

function stat(writer: JuteWriter, zxid: bigint, version: number): void {
  writer.long(zxid).long(zxid).long(1n).long(1n).int(version).int(0).int(0).long(0n).int(0).int(0).long(zxid);
}

/** The code that a call rejects with, and what it says of the outcome; or what it fulfils with. */
export async function endOf(work: Promise<unknown>): Promise<unknown> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof UnumError) return `${error.code} ${error.outcome}`;
    return error instanceof Error && "code" in error ? error.code : error;
  }
}

export const textOf = (node: { readonly data: Uint8Array } | undefined): string | undefined =>
  node === undefined ? undefined : utf8Decode(node.data);
