import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { Socket, connect, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { NotDeterministic, installGuards } from "./guards.ts";
import { drainReactions } from "./drain.ts";

describe("inside a simulation", () => {
  let remove: (() => void) | undefined;
  afterEach(() => {
    remove?.();
    remove = undefined;
  });

  const reaches: Readonly<Record<string, () => unknown>> = {
    "Date.now": () => Date.now(),
    "new Date()": () => new Date(),
    "Date()": () => Date(),
    "Math.random": () => Math.random(),
    setTimeout: () => setTimeout(() => undefined, 1),
    setInterval: () => setInterval(() => undefined, 1),
    setImmediate: () => setImmediate(() => undefined),
    "performance.now": () => performance.now(),
    "process.hrtime": () => process.hrtime(),
    "crypto.randomUUID": () => crypto.randomUUID(),
    "crypto.getRandomValues": () => crypto.getRandomValues(new Uint8Array(1)),
    fetch: () => fetch("http://127.0.0.1:1"),
    "node:timers/promises setTimeout": () => sleep(1),
    "node:crypto randomBytes": () => randomBytes(1),
    "node:fs readFile": () => readFile("x", () => undefined),
    "node:fs writeFileSync": () => writeFileSync("/dev/null", ""),
    "node:fs/promises open": () => open("/dev/null"),
    "node:net connect": () => connect(1),
    "node:net Socket.prototype.connect": () => new Socket().connect(1),
    "node:net createServer": () => createServer(),
    "node:child_process spawn": () => spawn("true"),
  };

  for (const [what, reach] of Object.entries(reaches)) {
    it(`${what} throws, and is reported even if the error is swallowed`, () => {
      const refused: string[] = [];
      remove = installGuards((found) => refused.push(found));
      let thrown: unknown;
      try {
        void reach();
      } catch (error) {
        thrown = error;
      }
      remove();
      expect(thrown).toBeInstanceOf(NotDeterministic);
      expect(refused).toEqual([what]);
    });
  }

  it("arithmetic with dates goes on, and so do promises", async () => {
    remove = installGuards();
    let settled = false;
    void Promise.resolve().then(() => {
      settled = new Date(0).toISOString() === "1970-01-01T00:00:00.000Z";
    });
    await drainReactions();
    expect(settled).toBe(true);
  });
});

describe("two simulations", () => {
  it("do not run at the same time: each would put the other's guards back", () => {
    const remove = installGuards();
    expect(() => installGuards()).toThrow("one simulation runs at a time");
    remove();
    installGuards()();
  });
});

describe("after a simulation", () => {
  it("everything is as it was", async () => {
    const before = [Date, Math.random, setTimeout, fetch, Socket.prototype.connect, performance.now];
    const removeGuards = installGuards();
    removeGuards();
    expect([Date, Math.random, setTimeout, fetch, Socket.prototype.connect, performance.now]).toEqual(before);
    expect(Date.now()).toBeGreaterThan(1_600_000_000_000);
    expect(randomBytes(4)).toHaveLength(4);
    await expect((await open("/dev/null")).close()).resolves.toBeUndefined();
    await sleep(1);
  });
});
