import { describe, expect, it } from "vitest";
import { limits } from "../base/index.ts";
import { Crowd } from "./crowd.ts";
import { Patience } from "./patience.ts";
import type { ConnectionView } from "./patience.ts";

const idle: ConnectionView = { frames: 0, incomingBytes: 0, bufferedBytes: 0, sentBytes: 0 };

/** Looks every 100 ms for so long; when it was lost, and how. */
function watch(lastMs: number, view: (nowMs: number) => Partial<ConnectionView>, from = 0): readonly [number, string] | undefined {
  const patience = new Patience();
  for (let now = from; now <= from + lastMs; now += 100) {
    const lost = patience.look(now, { ...idle, ...view(now) });
    if (lost !== undefined) return [now - from, lost];
  }
  return undefined;
}

describe("patience with a connection", () => {
  it("an idle one is waited for", () => {
    expect(watch(10 * 60_000, () => ({}))).toBeUndefined();
  });

  it("half a frame and never the rest: silent after 30 s", () => {
    expect(watch(60_000, () => ({ incomingBytes: 100 }))).toEqual([limits.frameMsMax + 100, "silent"]);
  });

  it("a byte now and then is no progress, another whole frame is", () => {
    expect(watch(60_000, (now) => ({ incomingBytes: 1 + now / 1000 }))?.[1]).toBe("silent");
    expect(watch(300_000, (now) => ({ incomingBytes: 100, frames: Math.floor(now / 20_000) }))).toBeUndefined();
  });

  it("answers that are not taken: deaf after 30 s, although more are added", () => {
    expect(watch(60_000, () => ({ bufferedBytes: 5_000, sentBytes: 5_000 }))).toEqual([limits.outputMsMax + 100, "deaf"]);
    expect(watch(60_000, (now) => ({ bufferedBytes: now, sentBytes: now }))?.[1]).toBe("deaf");
  });

  it("a slow reader is no deaf one", () => {
    expect(watch(600_000, (now) => ({ bufferedBytes: 2e6 - now, sentBytes: 2e6 }))).toBeUndefined();
    expect(watch(600_000, (now) => ({ bufferedBytes: 1e6, sentBytes: 1e6 + now }))).toBeUndefined();
  });

  it("a node that was stopped for a minute blames nobody for it", () => {
    const patience = new Patience();
    const view = { ...idle, incomingBytes: 1, bufferedBytes: 1, sentBytes: 1 };
    expect(patience.look(0, view)).toBeUndefined();
    expect(patience.look(60_000, view)).toBeUndefined();
  });
});

describe("the crowd at one node", () => {
  it("refuses nobody below the limits; above them whoever has more than its share", () => {
    const crowd = new Crowd(() => 4);
    for (let i = 0; i < limits.gateRequestsMax; i++) crowd.entered(10);
    expect(crowd.isTooMuch({ requests: limits.gateRequestsMax, bytes: 1 })).toBe(false);
    crowd.entered(10);
    expect(crowd.isTooMuch({ requests: limits.gateRequestsMax / 2, bytes: 1 })).toBe(true);
    expect(crowd.isTooMuch({ requests: limits.gateRequestsMax / 4 - 1, bytes: 1 })).toBe(false);
    crowd.left(2, 20);
    expect(crowd.isTooMuch({ requests: limits.gateRequestsMax, bytes: 1 })).toBe(false);
    crowd.entered(limits.gateBytesMax);
    expect(crowd.isTooMuch({ requests: 1, bytes: limits.gateBytesMax })).toBe(true);
    expect(crowd.isTooMuch({ requests: 1, bytes: 1_000 })).toBe(false);
  });
});
