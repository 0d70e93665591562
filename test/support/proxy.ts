/** A TCP proxy on loopback that can cut a node off: existing connections stall or break, new ones hang. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";

export class Proxy {
  readonly address: string;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private cutOff = false;

  private constructor(server: Server, target: { host: string; port: number }) {
    this.server = server;
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    this.address = `127.0.0.1:${address.port}`;
    server.on("connection", (near) => this.accept(near, target));
  }

  static async open(target: string): Promise<Proxy> {
    const [host = "127.0.0.1", port = "0"] = target.split(":");
    const server = createServer({ pauseOnConnect: false });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return new Proxy(server, { host, port: Number(port) });
  }

  private accept(near: Socket, target: { host: string; port: number }): void {
    const far = connect(target);
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      socket.setNoDelay(true);
      this.sockets.add(socket);
      socket.on("data", (bytes) => {
        if (!this.cutOff) other.write(bytes);
      });
      socket.on("error", () => socket.destroy());
      socket.on("close", () => {
        this.sockets.delete(socket);
        other.destroy();
      });
    }
  }

  /** Nothing passes any more, silently, as when a cable is pulled. */
  cut(): void {
    this.cutOff = true;
  }

  /** What was swallowed is lost, so the old connections must end. */
  heal(): void {
    this.cutOff = false;
    for (const socket of this.sockets) socket.destroy();
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.server.close();
    await once(this.server, "close");
  }
}
