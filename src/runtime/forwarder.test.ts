import { describe, expect, it } from "vitest";
import { defaultGroup } from "../base/index.ts";
import type { NodeId } from "../base/index.ts";
import { silentLogger } from "../ports/index.ts";
import { SimWorld } from "../sim/index.ts";
import { FrameType, Method, StreamCarrier, encodeWelcome, protocolVersion } from "../wire/index.ts";
import type { Hello, Request } from "../wire/index.ts";
import { Forwarder } from "./forwarder.ts";

const hello: Hello = {
  versionMin: protocolVersion,
  versionMax: protocolVersion,
  purpose: "client",
  cluster: undefined,
  node: undefined,
  name: "n1",
  address: "",
  featureLevel: 1,
};
const request: Request = {
  id: 0,
  method: Method.propose,
  group: defaultGroup,
  priority: "normal",
  stale: false,
  forwarded: true,
  remainingMs: 2_000,
  trace: 0n,
  principal: "",
  body: new Uint8Array(10),
};

/** A node that takes every request and answers none. */
async function beside(seed: string): Promise<{ world: SimWorld; forwarder: Forwarder; taken: FrameType[] }> {
  const world = new SimWorld(seed);
  const there = world.machine("n2");
  const here = world.machine("n1");
  const taken: FrameType[] = [];
  const listening = there.streams.listen({ host: "n2", port: 7400 }, (stream) => {
    const carrier = new StreamCarrier(stream, (callback) => there.clock.deferLast(callback));
    carrier.handle({
      onFrame: (frame) => {
        taken.push(frame[0] as FrameType);
        if (frame[0] === FrameType.hello) carrier.send(encodeWelcome({ ...hello, name: "n2" }));
      },
      onDrain: () => undefined,
      onClose: () => undefined,
    });
  });
  await world.scheduler.run(100);
  await listening;
  const options = { streams: here.streams, clock: here.clock, logger: silentLogger, hello: () => hello, onPush: () => undefined };
  const forwarder = new Forwarder(options, "n2" as NodeId, "n2:7400");
  const tick = (): void => {
    forwarder.tick();
    here.clock.after(100, tick);
  };
  tick();
  return { world, forwarder, taken };
}

describe("requests that another node takes and never answers", () => {
  it("are given up once their time is over, as unknown, and the other node hears of it; a stream lasts", async () => {
    const { world, forwarder, taken } = await beside("silent node");
    const failed: string[] = [];
    const call = {
      relay: () => expect.unreachable(),
      fail: (error: { code: string; outcome: string }) => failed.push(`${error.code} ${error.outcome}`),
    };
    forwarder.send(request, call);
    forwarder.send({ ...request, remainingMs: 20_000 }, call);
    forwarder.send({ ...request, method: Method.watch }, undefined, { onItem: () => undefined, onEnd: () => failed.push("end") });
    await world.scheduler.run(2_500);
    expect(failed).toEqual([]);
    await world.scheduler.run(2_500);
    expect(failed).toEqual(["TIMEOUT unknown"]);
    expect(taken.filter((type) => type === FrameType.request)).toHaveLength(3);
    expect(taken).toContain(FrameType.cancel);
    await world.scheduler.run(60_000);
    expect(failed).toEqual(["TIMEOUT unknown", "TIMEOUT unknown"]);
    forwarder.close();
  });

  it("are never sent when they were cancelled before the connection stood", async () => {
    const { world, forwarder, taken } = await beside("cancelled while dialling");
    const call = { relay: () => expect.unreachable(), fail: () => expect.unreachable() };
    for (let i = 0; i < 100; i++) forwarder.send(request, call).cancel();
    await world.scheduler.run(1_500);
    expect(taken.filter((type) => type === FrameType.request)).toEqual([]);
    forwarder.close();
  });
});
