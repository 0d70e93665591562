import { describe, expect, it } from "vitest";
import { Prng } from "../../base/index.ts";
import { checkLinearizable, registerModel } from "./index.ts";
import type { Interval, RegisterInput, RegisterOutput, SearchBudget } from "./index.ts";

type Op = Interval<RegisterInput, RegisterOutput>;

const put = (value: string, called: number, returned = Number.POSITIVE_INFINITY): Op => ({
  input: { kind: "put", value },
  output: returned === Number.POSITIVE_INFINITY ? undefined : { kind: "written" },
  called,
  returned,
});
const get = (value: string | undefined, called: number, returned: number): Op => ({
  input: { kind: "get" },
  output: { kind: "value", value },
  called,
  returned,
});
const swap = (expected: string | undefined, value: string, swapped: boolean, called: number, returned: number): Op => ({
  input: { kind: "swap", expected, value },
  output: { kind: "swapped", swapped },
  called,
  returned,
});
const remove = (existed: boolean, called: number, returned: number): Op => ({
  input: { kind: "delete" },
  output: { kind: "deleted", existed },
  called,
  returned,
});
const append = (item: string, value: string | undefined, called: number, returned = Number.POSITIVE_INFINITY): Op => ({
  input: { kind: "append", item },
  output: value === undefined ? undefined : { kind: "value", value },
  called,
  returned,
});

const verdict = (ops: readonly Op[], budget: SearchBudget = {}): string => checkLinearizable(registerModel, ops, budget).verdict;

describe("the linearizability checker", () => {
  it("accepts what happened one after the other", () => {
    expect(
      verdict([put("a", 0, 1), get("a", 2, 3), swap("a", "b", true, 4, 5), get("b", 6, 7), remove(true, 8, 9), get(undefined, 10, 11)]),
    ).toBe("ok");
    expect(verdict([])).toBe("ok");
  });

  it("accepts concurrent reads of either value, in an order that fits", () => {
    expect(verdict([put("a", 0, 1), put("b", 2, 9), get("a", 3, 4), get("b", 5, 6)])).toBe("ok");
  });

  it("refuses a stale read", () => {
    expect(verdict([put("a", 0, 1), put("b", 2, 3), get("a", 4, 5)])).toBe("illegal");
  });

  it("refuses a read that goes back in time", () => {
    expect(verdict([put("a", 0, 1), put("b", 2, 9), get("b", 3, 4), get("a", 5, 6)])).toBe("illegal");
  });

  it("refuses a lost write", () => {
    expect(verdict([put("a", 0, 1), get(undefined, 2, 3)])).toBe("illegal");
  });

  it("refuses two swaps from one value", () => {
    expect(verdict([put("a", 0, 1), swap("a", "b", true, 2, 5), swap("a", "c", true, 3, 6)])).toBe("illegal");
    expect(verdict([put("a", 0, 1), swap("a", "b", true, 2, 5), swap("a", "c", false, 3, 6)])).toBe("ok");
  });

  it("refuses a conflict without a cause", () => {
    expect(verdict([put("a", 0, 1), swap("a", "b", false, 2, 3)])).toBe("illegal");
  });

  it("lets an unknown write happen late, early or never", () => {
    expect(verdict([put("a", 0, 1), put("b", 2), get("a", 3, 4), get("b", 5, 6)])).toBe("ok");
    expect(verdict([put("a", 0, 1), put("b", 2), get("a", 3, 4), get("a", 5, 6)])).toBe("ok");
    expect(verdict([put("a", 0, 1), put("b", 2), swap("a", "c", false, 3, 4), put("d", 5, 6), get("d", 7, 8)])).toBe("ok");
  });

  it("refuses an unknown write that happens before it was made, or twice", () => {
    expect(verdict([put("a", 0, 1), get("b", 2, 3), put("b", 4)])).toBe("illegal");
    expect(verdict([put("b", 0), get("b", 1, 2), put("a", 3, 4), get("b", 5, 6)])).toBe("illegal");
  });

  it("refuses an append that was applied twice", () => {
    expect(verdict([append("1", "1;", 0, 1), append("2", undefined, 2), append("3", "1;2;3;", 3, 4)])).toBe("ok");
    expect(verdict([append("1", "1;", 0, 1), append("2", undefined, 2), append("3", "1;2;2;3;", 3, 4)])).toBe("illegal");
  });

  it("says unknown when the budget is used up, never a guess", () => {
    const many = Array.from({ length: 12 }, (_, i) => put(`v${i}`, i, 100 + i));
    expect(verdict([...many, get("none", 200, 201)], { stepsMax: 500 })).toBe("unknown");
    expect(verdict([...many, get("none", 200, 201)], { memoryMax: 1_000 })).toBe("unknown");
  });

  it("agrees with trying every order, on small random histories", () => {
    const prng = new Prng(11);
    const seen = { ok: 0, illegal: 0 };
    for (let round = 0; round < 3000; round++) {
      const ops = randomHistory(prng);
      const expected = bruteForce(ops) ? "ok" : "illegal";
      expect(verdict(ops)).toBe(expected);
      seen[expected]++;
    }
    expect(Math.min(seen.ok, seen.illegal)).toBeGreaterThan(300);
  });
});

function randomHistory(prng: Prng): Op[] {
  const positions = prng.shuffle(Array.from({ length: 10 }, (_, i) => i));
  return Array.from({ length: 5 }, (_, i): Op => {
    const [a, b] = [positions[2 * i] as number, positions[2 * i + 1] as number];
    const [called, returned] = [Math.min(a, b), Math.max(a, b)];
    const value = prng.pick(["x", "y", undefined]);
    switch (prng.below(5)) {
      case 0:
        return put(prng.pick(["x", "y"]), called, prng.chance(1, 3) ? undefined : returned);
      case 1:
        return swap(value, prng.pick(["x", "y"]), prng.chance(1, 2), called, returned);
      case 2:
        return remove(prng.chance(1, 2), called, returned);
      default:
        return get(value, called, returned);
    }
  });
}

/** Every order and every choice of unknown operations: too slow for anything but five of them. */
function bruteForce(ops: readonly Op[]): boolean {
  const go = (state: string | undefined, left: readonly Op[]): boolean => {
    if (left.every((op) => op.output === undefined)) return true;
    const firstReturn = Math.min(...left.map((op) => op.returned));
    return left.some((op) => {
      if (op.called > firstReturn) return false;
      const after = registerModel.step(state, op.input, op.output);
      return (
        after !== undefined &&
        go(
          after.state,
          left.filter((other) => other !== op),
        )
      );
    });
  };
  return go(undefined, ops);
}
