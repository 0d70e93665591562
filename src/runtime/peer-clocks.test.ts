import { describe, expect, it } from "vitest";
import type { NodeId } from "../base/index.ts";
import { PeerClocks } from "./peer-clocks.ts";

const node = (name: string): NodeId => name as NodeId;

/** Peers whose clocks are ahead of ours by so much, measured over `roundTripMs`. */
function measured(offsets: Readonly<Record<string, number>>, roundTripMs = 2, nowMs = 0): PeerClocks {
  const clocks = new PeerClocks();
  measure(clocks, offsets, roundTripMs, nowMs);
  return clocks;
}

function measure(clocks: PeerClocks, offsets: Readonly<Record<string, number>>, roundTripMs = 2, nowMs = 0): void {
  for (const [name, offset] of Object.entries(offsets))
    clocks.heard(node(name), 1_000_000 - roundTripMs / 2 + offset, 1_000_000, roundTripMs, nowMs);
}

describe("the offset", () => {
  it("is ours less the peers' median, half of the way back taken into account", () => {
    expect(measured({}).offsetMs(0)).toBeUndefined();
    expect(measured({ b: 30 }).offsetMs(0)).toBe(-30);
    expect(measured({ b: 30, c: -70, d: 900 }, 40).offsetMs(0)).toBe(-30);
    expect(measured({ b: 30, c: 50 }).offsetMs(0)).toBe(-40);
  });

  it("is that of the answer with the shortest way among the last few, and of none that is old", () => {
    const clocks = measured({ b: 10 }, 2);
    measure(clocks, { b: 300 }, 800, 1_000);
    expect(clocks.offsetMs(1_000)).toBe(-10);
    for (let second = 2; second <= 6; second++) measure(clocks, { b: 20 }, 4, second * 1_000);
    expect(clocks.offsetMs(6_000)).toBe(-20);
    expect(clocks.offsetMs(27_000)).toBeUndefined();
    expect(clocks.isOff(27_000)).toBe(false);
  });

  it("follows a clock that was set at once, whatever was known of it before", () => {
    const clocks = measured({ b: 10 }, 2);
    measure(clocks, { b: 1_000 }, 40, 1_000);
    expect(clocks.offsetMs(1_000)).toBe(-1_000);
  });
});

describe("a clock is off", () => {
  it("when it is more than half a second from a majority, in one direction", () => {
    expect(measured({ b: 600, c: 700 }).isOff(0)).toBe(true);
    expect(measured({ b: -600, c: -700 }).isOff(0)).toBe(true);
    expect(measured({ b: 400, c: 499 }).isOff(0)).toBe(false);
    expect(measured({ b: 600, c: 0 }).isOff(0)).toBe(false);
    expect(measured({ b: 900, c: -900 }).isOff(0)).toBe(false);
    expect(measured({ b: 600, c: 700, d: 800, e: 0 }).isOff(0)).toBe(true);
    expect(measured({ b: 600, c: 700, d: 0, e: 0 }).isOff(0)).toBe(false);
  });

  it("of two that differ neither is: nobody knows which", () => {
    expect(measured({ b: 5_000 }).isOff(0)).toBe(false);
  });

  it("only for sure: not where the way was as long as the difference", () => {
    expect(measured({ b: 600, c: 600 }, 300).isOff(0)).toBe(false);
    expect(measured({ b: 600, c: 600 }, 100).isOff(0)).toBe(true);
  });

  it("and is right again below the mark, with a margin; or when it was set and nothing is known", () => {
    const clocks = measured({ b: 520, c: 520 });
    expect(clocks.isOff(0)).toBe(true);
    for (let i = 0; i < 5; i++) measure(clocks, { b: 480, c: 480 });
    expect(clocks.isOff(0)).toBe(true);
    for (let i = 0; i < 5; i++) measure(clocks, { b: 440, c: 440 });
    expect(clocks.isOff(0)).toBe(false);
    const set = measured({ b: 520, c: 520 });
    expect(set.isOff(0)).toBe(true);
    set.forget();
    expect(set.isOff(0)).toBe(false);
  });

  it("never on all nodes at once, whatever their clocks show", () => {
    for (let seed = 0; seed < 200; seed++) {
      const walls = [0, 1, 2, 3, 4].slice(0, 2 + (seed % 4)).map((i) => ((seed + 1) * (i + 3) * 7_919) % 5_000);
      const off = walls.filter((own) =>
        measured(Object.fromEntries(walls.map((wall, i) => [`n${i}`, wall - own]).filter((_, i) => walls[i] !== own))).isOff(0),
      );
      expect(off.length).toBeLessThan(walls.length);
    }
  });
});

it("leadership goes to a peer whose clock is near the majority's, to none that is unknown or off itself", () => {
  const clocks = measured({ b: 600, c: 620, d: -4_000 });
  expect(["b", "c", "d", "e"].map((name) => clocks.isSound(node(name), 0))).toEqual([true, true, false, false]);
});
