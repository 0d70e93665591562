import { afterEach, describe, expect, it } from "vitest";
import type { Clock } from "./clock.ts";

export interface ClockHarness {
  readonly clock: Clock;
  /** Lets time pass until `done()`; throws when that takes more than 5 s of the clock. */
  until(done: () => boolean): Promise<void>;
  close?(): Promise<void> | void;
}

/** What every clock promises; see `clock.ts`. */
export function clockContract(name: string, make: () => ClockHarness): void {
  describe(`${name} keeps the clock's promises`, () => {
    let harness: ClockHarness | undefined;
    const start = (): ClockHarness => (harness = make());
    afterEach(() => harness?.close?.());

    it("now never goes back and moves on", async () => {
      const { clock, until } = start();
      const first = clock.now();
      let last = first;
      let back = false;
      await until(() => {
        const now = clock.now();
        if (now < last) back = true;
        last = now;
        return now >= first + 5;
      });
      expect(back).toBe(false);
    });

    it("wall is a number of milliseconds since 1970", () => {
      const { clock } = start();
      expect(clock.wall()).toBeGreaterThan(Date.UTC(2020, 0));
      expect(clock.wall()).toBeLessThan(Date.UTC(2200, 0));
    });

    it("a timer fires once and no earlier than its delay", async () => {
      const { clock, until } = start();
      const early: number[] = [];
      let fired = 0;
      const delays = [0, 0.3, 1, 1.7, 2, 5.2, 9.9, 20];
      for (const delay of delays) {
        const began = clock.now();
        clock.after(delay, () => {
          fired++;
          const took = clock.now() - began;
          // The difference of two doubles may be wrong in its last digits.
          if (took < delay - 1e-6) early.push(delay - took);
        });
      }
      await until(() => fired === delays.length);
      let more = false;
      clock.after(10, () => (more = true));
      await until(() => more);
      expect(fired).toBe(delays.length);
      expect(early).toEqual([]);
    });

    it("timers fire in the order of their due times, equal ones in the order they were set", async () => {
      const { clock, until } = start();
      const order: number[] = [];
      const delays = [9, 3, 3.4, 3.2, 1, 12, 0, 9];
      const due = delays.map((delay, i) => {
        const at = clock.now() + delay;
        clock.after(delay, () => order.push(i));
        return at;
      });
      await until(() => order.length === delays.length);
      const expected = delays.map((_, i) => i).sort((a, b) => (due[a] as number) - (due[b] as number) || a - b);
      // Those whose due times differ by less than a measurement of ours may stand either way.
      const position = (i: number): number => order.indexOf(i);
      for (let n = 1; n < expected.length; n++) {
        const a = expected[n - 1] as number;
        const b = expected[n] as number;
        if ((due[b] as number) - (due[a] as number) > 0.15 || delays[a] === delays[b]) expect(position(a)).toBeLessThan(position(b));
      }
    });

    it("a cancelled timer does not fire, and cancelling twice or late does nothing", async () => {
      const { clock, until } = start();
      let cancelled = false;
      let fired = 0;
      const timer = clock.after(2, () => (cancelled = true));
      timer.cancel();
      timer.cancel();
      const late = clock.after(1, () => fired++);
      const other = clock.after(4, () => fired++);
      await until(() => fired === 2);
      late.cancel();
      other.cancel();
      expect(cancelled).toBe(false);
    });

    it("a timer set or cancelled by a timer behaves the same", async () => {
      const { clock, until } = start();
      const seen: string[] = [];
      const victim = clock.after(3, () => seen.push("victim"));
      clock.after(1, () => {
        victim.cancel();
        clock.after(0, () => seen.push("inner"));
        clock.after(6, () => seen.push("last"));
      });
      clock.after(4, () => seen.push("middle"));
      await until(() => seen.includes("last"));
      expect(seen).toEqual(["inner", "middle", "last"]);
    });

    it("many timers, most of them cancelled, leave the right ones", async () => {
      const { clock, until } = start();
      let wrong = 0;
      let right = 0;
      for (let i = 0; i < 1000; i++) {
        const keep = i % 10 === 0;
        const timer = clock.after((i * 7) % 13, () => (keep ? right++ : wrong++));
        if (!keep) timer.cancel();
      }
      await until(() => right === 100);
      expect(wrong).toBe(0);
    });

    it("deferred callbacks run in order, later in the turn, and those they defer run in a later one", async () => {
      const { clock, until } = start();
      const seen: string[] = [];
      clock.defer(() => {
        seen.push("a");
        clock.defer(() => seen.push("d"));
        void Promise.resolve().then(() => seen.push("promise"));
      });
      clock.defer(() => seen.push("b"));
      clock.defer(() => seen.push("c"));
      seen.push("now");
      await until(() => seen.length === 6);
      expect(seen.filter((text) => text !== "promise")).toEqual(["now", "a", "b", "c", "d"]);
      expect(seen.indexOf("promise")).toBeLessThan(seen.indexOf("d"));
    });

    it("callbacks deferred last run behind the deferred ones, with those that these ask for", async () => {
      const { clock, until } = start();
      const seen: string[] = [];
      clock.defer(() => {
        seen.push("work");
        clock.deferLast(() => {
          seen.push("sent");
          clock.deferLast(() => seen.push("sent later"));
        });
      });
      clock.defer(() => seen.push("more work"));
      await until(() => seen.length === 4);
      expect(seen).toEqual(["work", "more work", "sent", "sent later"]);
      clock.deferLast(() => seen.push("alone"));
      await until(() => seen.length === 5);
    });

    it("deferred callbacks run before a timer of a later turn", async () => {
      const { clock, until } = start();
      const seen: string[] = [];
      clock.after(3, () => {
        clock.after(1, () => seen.push("timer"));
        clock.defer(() => seen.push("deferred"));
      });
      await until(() => seen.length === 2);
      expect(seen).toEqual(["deferred", "timer"]);
    });
  });
}
