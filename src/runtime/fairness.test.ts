/** Clients that flood beside one that is polite: its requests wait for one share of the others', not for all of theirs. */
import { describe, expect, it } from "vitest";
import { Writer, defaultGroup, limits } from "../base/index.ts";
import { decodeReply, encodePut, encodeQuery } from "../machine/index.ts";
import { FrameType, Method, decodeResponse, StreamCarrier, encodeHello, encodeRequestFrame, protocolVersion } from "../wire/index.ts";
import type { Carrier } from "../wire/index.ts";
import type { UnumNode } from "./index.ts";
import { NodeWorld } from "./world.golden.ts";

const list = ["n1:7400", "n2:7400", "n3:7400"];
const names = ["n1", "n2", "n3"];

/** A client that sends without asking for permission, and keeps so many requests in flight. */
class Flood {
  answered = 0;
  readonly codes = new Map<string, number>();
  private readonly carrier: Carrier;
  private readonly make: (at: number) => { readonly method: Method; readonly body: Uint8Array };
  private readonly remainingMs: number;
  private sent = 0;
  private readonly wanted: number;
  running = true;

  private constructor(carrier: Carrier, wanted: number, make: Flood["make"], remainingMs: number) {
    this.remainingMs = remainingMs;
    this.carrier = carrier;
    this.make = make;
    this.wanted = wanted;
    carrier.handle({
      onFrame: (frame) => this.take(frame),
      onDrain: () => undefined,
      onClose: () => {
        this.running = false;
      },
    });
    const hello = {
      versionMin: protocolVersion,
      versionMax: protocolVersion,
      purpose: "client",
      cluster: undefined,
      node: undefined,
    } as const;
    carrier.send(encodeHello({ ...hello, name: "flood", address: "", featureLevel: 1 }));
    this.fill();
  }

  /** On a machine of its own. */
  static async open(nodes: NodeWorld, node: UnumNode, wanted: number, make: Flood["make"], remainingMs = 600_000): Promise<Flood> {
    const { clock, streams } = nodes.world.machine(`flood-${nodes.world.machines.size}`);
    const stream = await nodes.settle(streams.dial({ host: node.options.name, port: 7400 }, { timeoutMs: 1_000, purpose: "client" }));
    return new Flood(new StreamCarrier(stream, (callback) => clock.defer(callback)), wanted, make, remainingMs);
  }

  get inFlight(): number {
    return this.sent - this.answered;
  }

  private fill(): void {
    while (this.running && this.inFlight < this.wanted) {
      this.sent++;
      this.carrier.send(
        encodeRequestFrame({
          id: this.sent,
          group: defaultGroup,
          priority: "normal",
          stale: false,
          forwarded: false,
          remainingMs: this.remainingMs,
          trace: 0n,
          principal: "",
          ...this.make(this.sent),
        }),
      );
    }
  }

  private take(frame: Uint8Array): void {
    if (frame[0] !== FrameType.response) return;
    const { answer } = decodeResponse(frame.slice());
    this.answered++;
    const reply = answer.ok ? decodeReply(answer.body) : undefined;
    const code = !answer.ok ? answer.error.code : reply?.ok === true ? "ok" : "refused";
    this.codes.set(code, (this.codes.get(code) ?? 0) + 1);
    if (code === "ok") this.fill();
  }
}

const value = new Uint8Array(64);
const put = (at: number): { method: Method; body: Uint8Array } => {
  const writer = new Writer(256);
  encodePut(writer, 0n, 0, 0, `flood/${at % 1_000}`, value);
  return { method: Method.propose, body: writer.take() };
};
const everything = { key: "", end: "\0", revision: 0, limit: 0, sort: undefined, keysOnly: false, countOnly: false };
const bounds = { minModRevision: 0, maxModRevision: 0, minCreateRevision: 0, maxCreateRevision: 0 };
const rangeAll = (): { method: Method; body: Uint8Array } => {
  const writer = new Writer(64).u64(0);
  encodeQuery(writer, { kind: "range", ...everything, ...bounds, key: "big/", end: "big0" });
  return { method: Method.query, body: writer.take() };
};

async function cluster(seed: string): Promise<{ nodes: NodeWorld; leader: UnumNode; follower: UnumNode }> {
  const nodes = new NodeWorld(seed);
  for (const name of names) nodes.place(name, { seeds: list, expect: 3 });
  await nodes.start(...names);
  await nodes.settle(nodes.handle(names).kv.put("first", 1));
  const leads = (name: string): boolean => nodes.node(name).groups.get(defaultGroup)?.isServing === true;
  await nodes.until(() => names.some(leads));
  const leader = names.find(leads) as string;
  const follower = names.find((name) => !leads(name)) as string;
  return { nodes, leader: nodes.node(leader), follower: nodes.node(follower) };
}

describe("a polite client beside clients that flood", () => {
  for (const where of ["leader", "follower"] as const) {
    it(`at the ${where}: 40,000 commands in flight stand before its own only by a share`, async () => {
      const made = await cluster(`flood at the ${where}`);
      const { nodes } = made;
      const node = made[where];
      const polite = nodes.handle([node.options.name]);
      await nodes.settle(polite.kv.put("polite", 0));
      const floods: Flood[] = [];
      for (let i = 0; i < 4; i++) floods.push(await Flood.open(nodes, node, 10_000, put));
      const answered = (): number => floods.reduce((sum, flood) => sum + flood.answered, 0);
      await nodes.until(() => floods.every((flood) => flood.answered > 1_000));
      const began = floods.map((flood) => flood.answered);
      // Answers come in lumps of thousands: only over several puts is a share one. Behind everybody's requests each put waits for 40,000.
      const before = answered();
      const puts = 14;
      for (let i = 0; i < puts; i++) await nodes.settle(polite.kv.put("polite", i));
      expect((answered() - before) / puts).toBeLessThan(30_000);
      expect(floods.map((flood) => [...flood.codes.keys()])).toEqual(floods.map(() => ["ok"]));
      const shares = floods.map((flood, at) => flood.answered - (began[at] ?? 0));
      expect(Math.max(...shares) - Math.min(...shares), "and they share evenly").toBeLessThan(Math.max(...shares) / 2);
    }, 60_000);
  }

  it("10,000 queries of 1 MiB each do not stand before its get, nor do their answers pile up", async () => {
    const { leader, nodes } = await cluster("flood of queries");
    const polite = nodes.handle([leader.options.name]);
    for (let i = 0; i < 16; i++) await nodes.settle(polite.kv.put(`big/${i}`, "x".repeat(64 * 1024)));
    const flood = await Flood.open(nodes, leader, 10_000, rangeAll);
    await nodes.until(() => flood.answered > 20);
    for (let i = 0; i < 5; i++) {
      const before = flood.answered;
      expect((await nodes.settle(polite.kv.get("first")))?.value).toBe(1);
      expect(flood.answered - before).toBeLessThanOrEqual(50);
      expect(leader.gate.bufferedBytes).toBeLessThan(16 * 1024 * 1024);
    }
    flood.running = false;
    expect([...flood.codes.keys()]).toEqual(["ok"]);
  }, 60_000);

  it("whoever has more in flight than the node takes is refused, whoever has little is not", async () => {
    const { leader, nodes } = await cluster("too many in flight");
    const polite = nodes.handle([leader.options.name]);
    await nodes.settle(polite.kv.put("polite", 0));
    const floods: Flood[] = [];
    for (let i = 0; i < 6; i++) floods.push(await Flood.open(nodes, leader, 16_000, put));
    await nodes.until(() => floods.some((flood) => flood.codes.has("OVERLOADED")));
    for (let i = 0; i < 3; i++) await nodes.settle(polite.kv.put("polite", i));
    for (const flood of floods) expect([...flood.codes.keys()].sort()).toEqual(["OVERLOADED", "ok"]);
  }, 60_000);

  it("a command whose time is over before its turn came is not applied, and says so", async () => {
    const { leader, nodes } = await cluster("expired in the queue");
    for (const name of names) if (name !== leader.options.name) nodes.crash(name);
    await Flood.open(nodes, leader, limits.groupInflightMax, put);
    await nodes.run(100);
    const late = await Flood.open(nodes, leader, 10, put, 500);
    await nodes.run(900);
    expect([...late.codes]).toEqual([["TIMEOUT", 10]]);
    expect(leader.gate.counters.expired).toBe(10);
  });
});
