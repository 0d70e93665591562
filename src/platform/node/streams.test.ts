import { createServer } from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { describe, expect, it } from "vitest";
import type { Stream, StreamError } from "../../ports/index.ts";
import { selfSigned } from "./self-signed.ts";
import { NodeStreams } from "./streams.ts";

async function until(done: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!done()) {
    if (performance.now() > end) throw new Error("it did not happen within 10 s");
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const silent = { onData: () => undefined, onDrain: () => undefined, onClose: () => undefined };

describe("NodeStreams", () => {
  it("drops connections beyond the limit and serves those within it", async () => {
    const streams = new NodeStreams({ maxConnections: 2 });
    const accepted: Stream[] = [];
    const listener = await streams.listen({ host: "127.0.0.1", port: 0 }, (stream) => {
      accepted.push(stream);
      stream.handle(silent);
    });
    let dropped = 0;
    const clients: Stream[] = [];
    for (let i = 0; i < 4; i++) {
      const client = await streams.dial(listener.address, { timeoutMs: 1000, purpose: "client" });
      client.handle({ ...silent, onClose: () => dropped++ });
      clients.push(client);
    }
    await until(() => dropped === 2);
    expect(accepted.length).toBe(2);
    for (const stream of [...clients, ...accepted]) stream.destroy();
    await listener.close();
  });

  it("over TLS carries bytes, refuses who shows no certificate, and a stream that is destroyed throws nothing", async () => {
    const own = selfSigned(["127.0.0.1"], 1, Date.now());
    const secure = { ...own, authority: own.certificate, dialerRequired: true, verified: true };
    const streams = new NodeStreams({ secure });
    let heard = "";
    let ended = 0;
    const listener = await streams.listen({ host: "127.0.0.1", port: 0 }, (stream) => {
      stream.handle({
        ...silent,
        onData: (bytes) => {
          heard += Buffer.from(bytes).toString();
          stream.write(Buffer.from("back"));
        },
        onClose: () => ended++,
      });
    });
    const options = { timeoutMs: 5_000, purpose: "control" } as const;
    const stream = await streams.dial(listener.address, options);
    let answer = "";
    stream.handle({ ...silent, onData: (bytes) => (answer += Buffer.from(bytes).toString()) });
    stream.write(Buffer.from("there"));
    await until(() => answer === "back");
    expect(heard).toBe("there");

    const other = selfSigned(["127.0.0.1"], 1, Date.now());
    const strangers = new NodeStreams({ secure: { ...other, authority: own.certificate, dialerRequired: false, verified: true } });
    let refused = false;
    const strange = await strangers.dial(listener.address, options);
    strange.handle({ ...silent, onClose: () => (refused = true) });
    await until(() => refused);
    const careful = new NodeStreams({ secure: { ...own, authority: other.certificate, dialerRequired: false, verified: true } });
    await expect(careful.dial(listener.address, options)).rejects.toMatchObject({ name: "StreamError" });

    expect(ended, "strangers were never accepted").toBe(0);
    stream.destroy();
    await until(() => ended === 1);
    await listener.close();
  });

  it("a peer that never ends does not keep a closed stream alive", async () => {
    const streams = new NodeStreams({ lingerMs: 50 });
    let reason: StreamError | undefined;
    let closed = false;
    const listener = await streams.listen({ host: "127.0.0.1", port: 0 }, (stream) => {
      stream.handle({
        ...silent,
        onClose: (why) => {
          closed = true;
          reason = why;
        },
      });
      stream.close();
    });
    const socket: Socket = connect({ host: "127.0.0.1", port: listener.address.port, allowHalfOpen: true });
    socket.on("error", () => undefined);
    socket.resume();
    await until(() => closed);
    expect(reason?.code).toBe("closed");
    socket.destroy();
    await listener.close();
  });

  it("a name that does not exist is unreachable, an address of nobody an error with a code", async () => {
    const streams = new NodeStreams();
    const dial = streams.dial({ host: "no-such-host.invalid", port: 1 }, { timeoutMs: 3000, purpose: "client" });
    await expect(dial).rejects.toMatchObject({ name: "StreamError", code: expect.stringMatching(/unreachable|timeout/) });
    await expect(streams.listen({ host: "192.0.2.1", port: 0 }, () => undefined)).rejects.toMatchObject({
      name: "StreamError",
      code: "unreachable",
    });
  });

  it("bytes that it does not count any more are the writer's again", async () => {
    const streams = new NodeStreams();
    const seen: Uint8Array[] = [];
    const listener = await streams.listen({ host: "127.0.0.1", port: 0 }, (stream) =>
      stream.handle({ ...silent, onData: (bytes) => seen.push(bytes.slice()) }),
    );
    const client = await streams.dial(listener.address, { timeoutMs: 1000, purpose: "entries" });
    client.handle(silent);
    expect(client.copies).toBe(true);
    const bytes = new Uint8Array(32 * 1024);
    for (let round = 1; round <= 100; round++) {
      bytes.fill(round);
      client.write(bytes);
      if (client.bufferedBytes === 0) bytes.fill(255);
      else await until(() => client.bufferedBytes === 0);
    }
    const received = (): number => seen.reduce((sum, chunk) => sum + chunk.length, 0);
    await until(() => received() === 100 * bytes.length);
    const all = Buffer.concat(seen);
    const wrong = Array.from({ length: 100 }, (_, round) => round).filter((round) =>
      all.subarray(round * bytes.length, (round + 1) * bytes.length).some((byte) => byte !== round + 1),
    );
    expect(wrong).toEqual([]);
    client.destroy();
    await listener.close();
  });

  it("meets another program's listener on its port as in-use", async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
    const { port } = other.address() as AddressInfo;
    await expect(new NodeStreams().listen({ host: "127.0.0.1", port }, () => undefined)).rejects.toMatchObject({ code: "in-use" });
    other.close();
  });
});
