import { afterEach, describe, expect, it } from "vitest";
import { Prng, concatBytes, equalBytes, utf8Decode, utf8Encode } from "../base/index.ts";
import { StreamError } from "./stream.ts";
import type { Address, Listener, Stream, StreamHandlers, StreamPurpose, Streams } from "./stream.ts";

export interface StreamsHarness {
  /** Who listens, where, and who dials. */
  readonly server: Streams;
  readonly serverHost: string;
  readonly client: Streams;
  readonly purpose: StreamPurpose;
  /** Lets the world go on until `done()`; throws when that takes too long. */
  until(done: () => boolean): Promise<void>;
  /** Lets the world go on until the promise settles. */
  settle<T>(promise: Promise<T>): Promise<T>;
  /** An address that never answers, or undefined where there is none to be had. */
  readonly silentAddress?: Address | undefined;
  close?(): Promise<void> | void;
}

/** Writes down what a stream tells. */
class Recorder implements StreamHandlers {
  readonly chunks: Uint8Array[] = [];
  bytes = 0;
  drains = 0;
  closes = 0;
  reason: StreamError | undefined;
  onBytes: ((bytes: Uint8Array) => void) | undefined;

  onData(bytes: Uint8Array): void {
    expect(this.closes).toBe(0);
    this.chunks.push(bytes.slice());
    this.bytes += bytes.length;
    this.onBytes?.(bytes);
  }
  onDrain(): void {
    expect(this.closes).toBe(0);
    this.drains++;
  }
  onClose(reason: StreamError | undefined): void {
    this.closes++;
    this.reason = reason;
  }
  get text(): string {
    return utf8Decode(concatBytes(this.chunks));
  }
}

interface Pair {
  readonly client: Stream;
  readonly server: Stream;
  readonly clientSees: Recorder;
  readonly serverSees: Recorder;
}

/** What every kind of stream promises; see `stream.ts`. */
export function streamsContract(name: string, make: () => StreamsHarness | Promise<StreamsHarness>): void {
  describe(`${name} keeps the promises of streams`, () => {
    let harness: StreamsHarness;
    const listeners: Listener[] = [];
    const streams: Stream[] = [];

    const start = async (): Promise<StreamsHarness> => (harness = await make());
    const listen = async (accept: (stream: Stream) => void, port = 0): Promise<Listener> => {
      const listener = await harness.settle(harness.server.listen({ host: harness.serverHost, port }, accept));
      listeners.push(listener);
      return listener;
    };
    const dial = async (address: Address, timeoutMs = 5000): Promise<Stream> => {
      const stream = await harness.settle(harness.client.dial(address, { timeoutMs, purpose: harness.purpose }));
      streams.push(stream);
      return stream;
    };

    afterEach(async () => {
      for (const stream of streams.splice(0)) stream.destroy();
      for (const listener of listeners.splice(0)) await harness.settle(listener.close());
      await harness.close?.();
    });

    async function pair(): Promise<Pair> {
      await start();
      const clientSees = new Recorder();
      const serverSees = new Recorder();
      let server: Stream | undefined;
      const listener = await listen((stream) => {
        server = stream;
        streams.push(stream);
        stream.handle(serverSees);
      });
      const dialled = harness.client.dial(listener.address, { timeoutMs: 5000, purpose: harness.purpose }).then((stream) => {
        stream.handle(clientSees);
        streams.push(stream);
        return stream;
      });
      const client = await harness.settle(dialled);
      await harness.until(() => server !== undefined);
      return { client, server: server as Stream, clientSees, serverSees };
    }

    it("a free port is taken for port 0 and reported", async () => {
      await start();
      const one = await listen(() => undefined);
      const two = await listen(() => undefined);
      expect(one.address.host).toBe(harness.serverHost);
      expect(one.address.port).toBeGreaterThan(0);
      expect(two.address.port).not.toBe(one.address.port);
    });

    it("a taken address is in-use, and free again once its listener has closed", async () => {
      await start();
      const first = await listen(() => undefined);
      await expect(listen(() => undefined, first.address.port)).rejects.toMatchObject({ name: "StreamError", code: "in-use" });
      await harness.settle(first.close());
      const again = await listen(() => undefined, first.address.port);
      expect(again.address.port).toBe(first.address.port);
    });

    it("dialling where nobody listens is refused", async () => {
      await start();
      const listener = await listen(() => undefined);
      await harness.settle(listener.close());
      await expect(dial(listener.address)).rejects.toMatchObject({ name: "StreamError", code: "refused" });
    });

    it("dialling what does not answer times out", async () => {
      await start();
      if (harness.silentAddress === undefined) return;
      await expect(dial(harness.silentAddress, 100)).rejects.toMatchObject({ name: "StreamError" });
    });

    it("bytes arrive both ways, in order and unchanged, however many", async () => {
      const { client, server, clientSees, serverSees } = await pair();
      const random = new Prng(7);
      const sent: Uint8Array[] = [];
      for (let i = 0; i < 50; i++) {
        const bytes = random.bytes(random.between(1, 30_000));
        sent.push(bytes);
        client.write(bytes);
        server.write(bytes);
      }
      const all = concatBytes(sent);
      await harness.until(() => serverSees.bytes === all.length && clientSees.bytes === all.length);
      expect(equalBytes(concatBytes(serverSees.chunks), all)).toBe(true);
      expect(equalBytes(concatBytes(clientSees.chunks), all)).toBe(true);
    });

    it("no handler is called from within write, close or destroy", async () => {
      const { client, clientSees, serverSees, server } = await pair();
      client.write(utf8Encode("a"));
      expect(serverSees.bytes).toBe(0);
      client.close();
      expect(clientSees.closes).toBe(0);
      server.destroy();
      expect(serverSees.closes).toBe(0);
      await harness.until(() => clientSees.closes === 1 && serverSees.closes === 1);
    });

    it("bytes wait for handlers that are set later", async () => {
      await start();
      let server: Stream | undefined;
      const listener = await listen((stream) => {
        server ??= stream;
        streams.push(stream);
      });
      const client = await dial(listener.address);
      client.handle(new Recorder());
      client.write(utf8Encode("early"));
      await harness.until(() => server !== undefined);
      const first = server as Stream;
      // By the time another connection is there, the bytes of the first have long arrived.
      await dial(listener.address);
      const sees = new Recorder();
      first.handle(sees);
      await harness.until(() => sees.bytes === 5);
      expect(sees.text).toBe("early");
    });

    it("close sends what is queued, and both sides hear of an orderly end exactly once", async () => {
      const { client, clientSees, serverSees } = await pair();
      const bytes = new Prng(3).bytes(3_000_000);
      client.write(bytes);
      client.close();
      client.write(utf8Encode("too late"));
      client.close();
      await harness.until(() => clientSees.closes === 1 && serverSees.closes === 1);
      expect(serverSees.bytes).toBe(bytes.length);
      expect(serverSees.reason).toBeUndefined();
      expect(clientSees.reason).toBeUndefined();
    });

    it("what the other side had queued when this one closed is still sent", async () => {
      const { client, server, serverSees, clientSees } = await pair();
      serverSees.onBytes = () => {
        server.write(utf8Encode("x".repeat(100_000)));
      };
      client.write(utf8Encode("question"));
      await harness.until(() => clientSees.bytes === 100_000);
      server.close();
      await harness.until(() => clientSees.closes === 1 && serverSees.closes === 1);
      expect([clientSees.reason, serverSees.reason]).toEqual([undefined, undefined]);
    });

    it("after close nothing is received any more", async () => {
      const { client, server, clientSees, serverSees } = await pair();
      client.close();
      server.write(utf8Encode("late"));
      await harness.until(() => clientSees.closes === 1 && serverSees.closes === 1);
      expect(clientSees.bytes).toBe(0);
    });

    it("destroy is told to the other side as a reset, to the own one as closed", async () => {
      const { client, clientSees, serverSees } = await pair();
      client.destroy();
      client.destroy();
      client.write(utf8Encode("nothing"));
      await harness.until(() => clientSees.closes === 1 && serverSees.closes === 1);
      expect(serverSees.reason).toBeInstanceOf(StreamError);
      expect(serverSees.reason?.code).toBe("reset");
      expect(clientSees.reason?.code).toBe("closed");
      expect(serverSees.bytes).toBe(0);
    });

    it("a paused reader makes bytes pile up at the writer, which is told when they are gone", async () => {
      const { client, server, clientSees, serverSees } = await pair();
      server.pause();
      const block = new Uint8Array(256 * 1024).fill(1);
      let written = 0;
      while (client.bufferedBytes < 4 * block.length && written < 400) {
        client.write(block);
        written++;
        await harness.until(() => true);
      }
      expect(client.bufferedBytes).toBeGreaterThan(0);
      const before = serverSees.bytes;
      server.resume();
      await harness.until(() => serverSees.bytes === written * block.length && client.bufferedBytes === 0 && clientSees.drains > 0);
      expect(before).toBeLessThan(written * block.length);
      expect(clientSees.drains).toBeGreaterThan(0);
    });

    it("a listener that has closed leaves its streams alive", async () => {
      const { client, serverSees } = await pair();
      await harness.settle((listeners[0] as Listener).close());
      client.write(utf8Encode("still here"));
      await harness.until(() => serverSees.bytes === 10);
      expect(serverSees.text).toBe("still here");
    });
  });
}
