import { describe, expect, it } from "vitest";
import { utf8Decode, utf8Encode } from "../base/index.ts";
import type { Stream, StreamError, StreamHandlers, StreamPurpose } from "../ports/index.ts";
import { SimWorld } from "./index.ts";
import type { NetworkOptions, SimMachine } from "./index.ts";

class Recorder implements StreamHandlers {
  readonly texts: string[] = [];
  closed = false;
  reason: StreamError | undefined;
  drains = 0;
  onData(bytes: Uint8Array): void {
    this.texts.push(utf8Decode(bytes));
  }
  onDrain(): void {
    this.drains++;
  }
  onClose(reason: StreamError | undefined): void {
    this.closed = true;
    this.reason = reason;
  }
}

interface Fixture {
  readonly world: SimWorld;
  readonly a: SimMachine;
  readonly b: SimMachine;
  readonly near: Stream;
  readonly far: Stream;
  readonly nearSees: Recorder;
  readonly farSees: Recorder;
}

async function connected(purpose: StreamPurpose = "client", network: NetworkOptions = {}, seed = 1): Promise<Fixture> {
  const world = new SimWorld(seed, { network });
  const a = world.machine("a");
  const b = world.machine("b");
  const nearSees = new Recorder();
  const farSees = new Recorder();
  let far: Stream | undefined;
  await world.scheduler.settle(
    b.streams.listen({ host: "b", port: 7 }, (stream) => {
      far = stream;
      stream.handle(farSees);
    }),
  );
  const near = await world.scheduler.settle(a.streams.dial({ host: "b", port: 7 }, { timeoutMs: 1000, purpose }));
  near.handle(nearSees);
  await world.scheduler.until(() => far !== undefined);
  return { world, a, b, near, far: far as Stream, nearSees, farSees };
}

describe("partitions", () => {
  it("hold what is sent and let it through, in order, when they heal", async () => {
    const { world, near, farSees, nearSees } = await connected();
    world.network.partition(["a"], ["b"]);
    for (const text of ["1", "2", "3"]) near.write(utf8Encode(text));
    await world.scheduler.run(5000);
    expect(farSees.texts).toEqual([]);
    world.network.heal();
    await world.scheduler.run(1000);
    expect(farSees.texts.join("")).toBe("123");
    expect(nearSees.closed).toBe(false);
  });

  it("let nothing that is sent after the heal overtake what was held", async () => {
    for (let seed = 1; seed <= 10; seed++) {
      const { farSees, near, world } = await connected("client", {}, seed);
      world.network.partition(["a"], ["b"]);
      near.write(utf8Encode("1"));
      await world.scheduler.run(100);
      world.network.heal();
      near.write(utf8Encode("2"));
      await world.scheduler.run(10);
      near.write(utf8Encode("3"));
      await world.scheduler.run(5000);
      expect(farSees.texts.join("")).toBe("123");
    }
  });

  it("break a connection that could not get through for too long, on the side that tried", async () => {
    const { world, near, nearSees, farSees } = await connected("client", { giveUpMs: 2000 });
    world.network.partition(["a"], ["b"]);
    near.write(utf8Encode("lost"));
    await world.scheduler.run(2500);
    expect(nearSees.reason?.code).toBe("timeout");
    expect(farSees.closed).toBe(false);
  });

  it("one way: the other direction goes on", async () => {
    const { world, near, far, nearSees, farSees } = await connected();
    world.network.block(["a"], ["b"]);
    near.write(utf8Encode("to b"));
    far.write(utf8Encode("to a"));
    await world.scheduler.run(500);
    expect([nearSees.texts.join(""), farSees.texts.join("")]).toEqual(["to a", ""]);
  });

  it("partial: a host in both parts reaches both", () => {
    const { network } = new SimWorld(1);
    network.partition(["a", "c"], ["b", "c"]);
    const blocked = (from: string, to: string): boolean => network.link(from, to).blocked;
    expect([blocked("a", "b"), blocked("b", "a"), blocked("a", "c"), blocked("c", "b"), blocked("c", "a")]).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
  });

  it("dialling through one times out, and succeeds when it heals in time", async () => {
    const { world, a } = await connected();
    world.network.partition(["a"], ["b"]);
    await expect(
      world.scheduler.settle(a.streams.dial({ host: "b", port: 7 }, { timeoutMs: 500, purpose: "client" })),
    ).rejects.toMatchObject({ code: "timeout" });
    world.scheduler.schedule(1_500_000, "heal", () => world.network.heal());
    const stream = await world.scheduler.settle(a.streams.dial({ host: "b", port: 7 }, { timeoutMs: 5000, purpose: "client" }));
    expect(stream.peer).toBe("b:7");
  });

  it("a clogged direction delivers late and in order", async () => {
    const { world, near, farSees } = await connected();
    world.network.clog("a", "b", 300);
    near.write(utf8Encode("1"));
    near.write(utf8Encode("2"));
    await world.scheduler.run(299);
    expect(farSees.texts).toEqual([]);
    await world.scheduler.run(50);
    expect(farSees.texts.join("")).toBe("12");
  });

  it("reset breaks connections on both sides", async () => {
    const { world, nearSees, farSees } = await connected();
    world.network.reset("a", "b");
    await world.scheduler.run(10);
    expect([nearSees.reason?.code, farSees.reason?.code]).toEqual(["reset", "reset"]);
  });
});

describe("crashes", () => {
  it("of a process: its peers hear of it, dialling is refused, and it comes back", async () => {
    const { world, a, b, nearSees, farSees } = await connected();
    b.host.crash();
    await world.scheduler.run(100);
    expect(nearSees.closed).toBe(true);
    expect(farSees.closed).toBe(false);
    await expect(
      world.scheduler.settle(a.streams.dial({ host: "b", port: 7 }, { timeoutMs: 1000, purpose: "client" })),
    ).rejects.toMatchObject({ code: "refused" });
    b.host.start();
    await world.scheduler.settle(b.streams.listen({ host: "b", port: 7 }, () => undefined));
    await world.scheduler.settle(a.streams.dial({ host: "b", port: 7 }, { timeoutMs: 1000, purpose: "client" }));
  });

  it("of a machine: silence, until what is sent gets no answer for too long", async () => {
    const { world, a, b, near, nearSees } = await connected("client", { giveUpMs: 3000 });
    b.host.crash("power");
    await world.scheduler.run(10_000);
    expect(nearSees.closed).toBe(false);
    near.write(utf8Encode("hello?"));
    await expect(
      world.scheduler.settle(a.streams.dial({ host: "b", port: 7 }, { timeoutMs: 500, purpose: "client" })),
    ).rejects.toMatchObject({ code: "timeout" });
    await world.scheduler.run(10_000);
    expect(nearSees.reason?.code).toBe("timeout");
  });

  it("of a machine that comes back: an old connection is reset when it is used", async () => {
    const { world, b, near, nearSees } = await connected();
    b.host.crash("power");
    await world.scheduler.run(1000);
    b.host.start();
    near.write(utf8Encode("do you remember?"));
    await world.scheduler.run(1000);
    expect(nearSees.reason?.code).toBe("reset");
  });

  it("a stopped process accepts bytes and connections later", async () => {
    const { world, a, b, near, farSees } = await connected();
    b.host.pause();
    near.write(utf8Encode("wait"));
    await world.scheduler.settle(a.streams.dial({ host: "b", port: 7 }, { timeoutMs: 1000, purpose: "client" }));
    await world.scheduler.run(3000);
    expect(farSees.texts).toEqual([]);
    b.host.resume();
    await world.scheduler.run(1);
    expect(farSees.texts.join("")).toBe("wait");
  });
});

describe("faults of messages", () => {
  const faults: NetworkOptions = { lossPpm: 100_000, duplicatePpm: 100_000, reorderPpm: 100_000, windowBytes: 100 };
  const numbers = Array.from({ length: 400 }, (_, i) => `${i};`);

  async function send(purpose: StreamPurpose): Promise<Fixture> {
    const fixture = await connected(purpose, faults, 5);
    for (const text of numbers) {
      fixture.near.write(utf8Encode(text));
      await fixture.world.scheduler.run(0.2);
    }
    await fixture.world.scheduler.run(5000);
    return fixture;
  }

  it("client connections have none: a stream of bytes, cut anywhere", async () => {
    const { farSees } = await send("client");
    expect(farSees.texts.join("")).toBe(numbers.join(""));
    expect(farSees.texts).not.toEqual(numbers);
  });

  for (const purpose of ["control", "entries", "bulk"] as const) {
    it(`"${purpose}" loses, repeats and reorders whole writes, and counts every byte back`, async () => {
      const { farSees, near, nearSees } = await send(purpose);
      const seen = farSees.texts;
      for (const text of seen) expect(numbers).toContain(text);
      const distinct = new Set(seen);
      expect(distinct.size).toBeLessThan(numbers.length - 10);
      expect(seen.length).toBeGreaterThan(distinct.size + 10);
      expect(seen.map((text) => numbers.indexOf(text)).some((n, i, all) => i > 0 && n < (all[i - 1] as number))).toBe(true);
      expect(near.bufferedBytes).toBe(0);
      expect(nearSees.closed).toBe(false);
    });
  }

  it("an orderly end comes after all that was not lost", async () => {
    const { world, near, farSees } = await connected("entries", { reorderPpm: 500_000 }, 9);
    for (const text of numbers) near.write(utf8Encode(text));
    near.close();
    await world.scheduler.until(() => farSees.closed);
    expect(new Set(farSees.texts).size).toBe(numbers.length);
    expect(farSees.reason).toBeUndefined();
  });

  it("a slow wire spaces what is sent", async () => {
    const { world, near, farSees } = await connected("client", { bytesPerUs: 1 });
    near.write(new Uint8Array(50_000).fill(65));
    near.write(utf8Encode("end"));
    await world.scheduler.run(45);
    expect(farSees.texts).toEqual([]);
    await world.scheduler.run(30);
    expect(farSees.texts.join("").length).toBe(50_003);
  });
});
