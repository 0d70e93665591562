import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { decodeHello } from "#dist/wire/index.js";
import type { Wires } from "./wires.ts";

interface Link {
  blocked: boolean;
  delayMs: number;
}

/** A direction of a connection: what was read and may not yet be written. */
interface Flow {
  readonly source: Socket;
  readonly target: Socket;
  readonly link: Link | undefined;
  readonly held: { readonly bytes: Buffer; readonly dueMs: number }[];
  timer: NodeJS.Timeout | undefined;
  ended: boolean;
}

/** A peer's connections by the two that they join. */
interface Connection {
  readonly from: number;
  readonly to: number;
  readonly near: Socket;
  readonly far: Socket;
  readonly flows: readonly Flow[];
}

const heldBytesMax = 1024 * 1024;
const greetingBytesMax = 64 * 1024;

/**
 * A proxy on loopback in front of each node. Whoever dials says its name in the protocol's greeting, so that
 * each direction between two nodes can be broken apart from all others; clients are never cut off.
 *
 * As with TCP on a broken cable, nothing is lost within a connection: what is held back comes when the
 * cable is mended, or never when the connection ends before.
 */
export class Proxies implements Wires {
  readonly kind = "proxies";
  readonly canDelay = true;
  private readonly names: readonly string[];
  private readonly listens: readonly string[];
  private readonly servers: Server[] = [];
  private readonly links = new Map<string, Link>();
  private readonly connections = new Set<Connection>();
  private readonly sockets = new Set<Socket>();

  private constructor(names: readonly string[], listens: readonly string[]) {
    this.names = names;
    this.listens = listens;
  }

  static async open(names: readonly string[], freePort: () => Promise<number>): Promise<Proxies> {
    const listens: string[] = [];
    for (const _ of names) listens.push(`127.0.0.1:${await freePort()}`);
    const proxies = new Proxies(names, listens);
    for (const [to] of names.entries()) {
      const server = createServer({ pauseOnConnect: true }, (near) => proxies.accept(near, to));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      proxies.servers.push(server);
    }
    return proxies;
  }

  listen(node: number): string {
    return this.listens[node] ?? "";
  }

  address(node: number): string {
    const address = this.servers[node]?.address();
    if (address === null || address === undefined || typeof address === "string") throw new Error("the proxy does not listen");
    return `127.0.0.1:${address.port}`;
  }

  enter(): readonly string[] {
    return [];
  }

  block(from: number, to: number): void {
    this.link(from, to).blocked = true;
  }

  unblock(from: number, to: number): void {
    this.link(from, to).blocked = false;
    this.pumpAll();
  }

  delay(from: number, to: number, ms: number): void {
    this.link(from, to).delayMs = ms;
    this.pumpAll();
  }

  reset(a: number, b: number): void {
    for (const { far, from, near, to } of this.connections) {
      if ((from !== a || to !== b) && (from !== b || to !== a)) continue;
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    for (const server of this.servers) {
      server.close();
      await once(server, "close");
    }
  }

  private link(from: number, to: number): Link {
    const name = `${from}>${to}`;
    const link = this.links.get(name) ?? { blocked: false, delayMs: 0 };
    this.links.set(name, link);
    return link;
  }

  /** Reads the greeting to learn who dials; only then is the node itself dialled. */
  private accept(near: Socket, to: number): void {
    this.keep(near);
    let head = Buffer.alloc(0);
    const read = (bytes: Buffer): void => {
      head = Buffer.concat([head, bytes]);
      if (head.length < greetingBytesMax && (head.length < 4 || head.length < 4 + head.readUInt32LE(0))) return;
      near.off("data", read);
      near.pause();
      this.join(near, to, this.dialler(head), head);
    };
    near.on("data", read);
    near.resume();
  }

  private dialler(head: Buffer): number {
    try {
      return this.names.indexOf(decodeHello(head.subarray(4, 4 + head.readUInt32LE(0))).name);
    } catch {
      // No greeting of ours: the node will say so.
      return -1;
    }
  }

  private join(near: Socket, to: number, from: number, head: Buffer): void {
    const [host = "", port = "0"] = this.listen(to).split(":");
    const far = connect({ host, port: Number(port) });
    this.keep(far);
    const isPeer = from >= 0 && from !== to;
    const flow = (source: Socket, target: Socket, link: Link | undefined): Flow => {
      const made: Flow = { source, target, link, held: [], timer: undefined, ended: false };
      source.on("data", (bytes: Buffer) => this.take(made, bytes));
      source.on("end", () => {
        made.ended = true;
        this.pump(made);
      });
      target.on("drain", () => this.pump(made));
      return made;
    };
    const there = flow(near, far, isPeer ? this.link(from, to) : undefined);
    const back = flow(far, near, isPeer ? this.link(to, from) : undefined);
    const connection: Connection = { from, to, near, far, flows: [there, back] };
    this.connections.add(connection);
    for (const socket of [near, far]) {
      socket.setNoDelay(true);
      socket.once("close", () => this.part(connection, socket));
    }
    this.take(there, head);
    near.resume();
  }

  /** One end is gone. The other learns of it, unless the cable between them is broken: then it hears nothing. */
  private part(connection: Connection, gone: Socket): void {
    const { far, flows, near } = connection;
    const other = gone === near ? far : near;
    const flow = flows.find(({ source }) => source === gone);
    if (flow?.link?.blocked === true && !other.destroyed) {
      flow.ended = true;
      return;
    }
    for (const { timer } of flows) clearTimeout(timer);
    other.destroy();
    if (near.destroyed && far.destroyed) this.connections.delete(connection);
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.once("close", () => this.sockets.delete(socket));
  }

  private take(flow: Flow, bytes: Buffer): void {
    flow.held.push({ bytes, dueMs: performance.now() + (flow.link?.delayMs ?? 0) });
    this.pump(flow);
  }

  private pumpAll(): void {
    for (const { flows } of this.connections) for (const flow of flows) this.pump(flow);
  }

  private pump(flow: Flow): void {
    clearTimeout(flow.timer);
    const { held, link, source, target } = flow;
    const now = performance.now();
    while (held.length > 0 && link?.blocked !== true && !target.writableNeedDrain) {
      const first = held[0];
      if (first === undefined) break;
      if (first.dueMs > now) {
        flow.timer = setTimeout(() => this.pump(flow), Math.ceil(first.dueMs - now));
        break;
      }
      held.shift();
      if (!target.destroyed) target.write(first.bytes);
    }
    let bytes = 0;
    for (const entry of held) bytes += entry.bytes.length;
    if (bytes > heldBytesMax) source.pause();
    else source.resume();
    if (flow.ended && held.length === 0 && link?.blocked !== true) target.destroySoon();
  }
}
