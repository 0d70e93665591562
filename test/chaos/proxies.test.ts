import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { Server, Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { encodeHello, protocolVersion } from "#dist/wire/index.js";
import { freePort } from "../support/ports.ts";
import { Proxies } from "./proxies.ts";

let proxies: Proxies;
const servers: Server[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await proxies.close();
  for (const server of servers.splice(0)) server.close();
});

/** A node that says everything back. */
async function listen(address: string): Promise<void> {
  const server = createServer((socket) => {
    sockets.push(socket.on("error", () => socket.destroy()));
    socket.pipe(socket);
  });
  server.listen(Number(address.split(":")[1]), "127.0.0.1");
  await once(server, "listening");
  servers.push(server);
}

function greeting(name: string): Buffer {
  const hello = encodeHello({
    versionMin: protocolVersion,
    versionMax: protocolVersion,
    purpose: "control",
    cluster: undefined,
    node: undefined,
    name,
    address: "",
    featureLevel: 1,
  });
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32LE(hello.length);
  return Buffer.concat([prefix, hello]);
}

/** A connection that has greeted and heard its greeting back. */
async function dial(name: string, to: number): Promise<{ readonly socket: Socket; said(text: string): Promise<void> }> {
  const [host = "", port = "0"] = proxies.address(to).split(":");
  const socket = connect({ host, port: Number(port) });
  sockets.push(socket.on("error", () => socket.destroy()));
  let heard = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    heard = Buffer.concat([heard, bytes]);
    socket.emit("heard");
  });
  const said = async (text: string): Promise<void> => {
    while (!heard.toString("latin1").endsWith(text)) await once(socket, "heard");
  };
  const hello = greeting(name);
  socket.write(hello);
  await said(hello.toString("latin1"));
  return { socket, said };
}

describe("the wires through proxies", () => {
  it("hold back one direction of one pair, whoever dialled, lose nothing, and leave the others alone", async () => {
    proxies = await Proxies.open(["n1", "n2", "n3"], freePort);
    for (const node of [0, 1, 2]) await listen(proxies.listen(node));
    const cut = await dial("n1", 1);
    const other = await dial("n3", 1);
    const client = await dial("c1", 1);
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ] as const) {
      proxies.block(from, to);
      let early = false;
      cut.socket.once("data", () => {
        early = true;
      });
      cut.socket.write("held");
      for (const { said, socket } of [other, client]) {
        socket.write("goes");
        await said("goes");
      }
      expect(early).toBe(false);
      proxies.unblock(from, to);
      await cut.said("held");
      cut.socket.write("then");
      await cut.said("then");
    }
  });

  it("delay, and break, only what runs between the two", async () => {
    proxies = await Proxies.open(["n1", "n2", "n3"], freePort);
    for (const node of [0, 1, 2]) await listen(proxies.listen(node));
    const slow = await dial("n1", 1);
    const other = await dial("n3", 1);
    proxies.delay(0, 1, 300);
    const began = performance.now();
    slow.socket.write("late");
    await slow.said("late");
    expect(performance.now() - began).toBeGreaterThanOrEqual(295);
    const closed = new Promise((resolve) => slow.socket.once("close", resolve));
    proxies.reset(0, 1);
    await closed;
    other.socket.write("goes");
    await other.said("goes");
  });
});
