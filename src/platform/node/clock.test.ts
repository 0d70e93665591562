import { describe, expect, it } from "vitest";
import { NodeClock } from "./clock.ts";

describe("NodeClock", () => {
  it("one deferred callback that throws does not swallow those behind it", async () => {
    const clock = new NodeClock();
    const seen: string[] = [];
    const uncaught = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const caught = new Promise((resolve) => process.once("uncaughtException", resolve));
    clock.defer(() => seen.push("a"));
    clock.defer(() => {
      throw new Error("expected by the test");
    });
    clock.defer(() => seen.push("b"));
    await caught;
    await new Promise<void>((resolve) => clock.defer(resolve));
    for (const listener of uncaught) process.on("uncaughtException", listener);
    expect(seen).toEqual(["a", "b"]);
  });

  it("what a deferred callback asks for last runs before the loop looks for input again", async () => {
    const clock = new NodeClock();
    const seen: string[] = [];
    clock.defer(() => {
      setImmediate(() => seen.push("next turn"));
      clock.deferLast(() => seen.push("last"));
    });
    await new Promise<void>((resolve) => setTimeout(resolve, 5));
    expect(seen).toEqual(["last", "next turn"]);
  });

  it("all callbacks deferred in a turn share one turn, a flood of them included", async () => {
    const clock = new NodeClock();
    let count = 0;
    for (let i = 0; i < 100_000; i++) clock.defer(() => count++);
    await new Promise((resolve) => setImmediate(resolve));
    expect(count).toBe(100_000);
  });

  it("a delay longer than setTimeout can take does not fire at once", async () => {
    const clock = new NodeClock();
    let fired = false;
    const far = clock.after(2 ** 40, () => (fired = true));
    await new Promise<void>((resolve) => clock.after(10, resolve));
    expect(fired).toBe(false);
    far.cancel();
  });
});
