import { describe, expect, it } from "vitest";
import { checkBounds, checkRest } from "./index.ts";
import type { Held } from "./index.ts";

const held = (more: Partial<Held> = {}): Held => ({
  node: "n1",
  usedBytes: 100,
  budgetBytes: 1_000,
  bufferedBytes: 0,
  replicas: [{ group: 1, uncommittedBytes: 0, memoryBytes: 0 }],
  ...more,
});
const replica = (uncommittedBytes: number, memoryBytes = 0): Partial<Held> => ({ replicas: [{ group: 1, uncommittedBytes, memoryBytes }] });

describe("the memory check", () => {
  it("accepts what is within the budget and the limit, and finds what is not", () => {
    const limits = { uncommittedBytesMax: 100, entryBytesMax: 20 };
    expect(checkBounds(held({ usedBytes: 1_000, ...replica(120) }), limits)).toEqual([]);
    expect(checkBounds(held({ usedBytes: 1_001 }), limits)).toEqual(["n1 holds 1001 bytes, and its budget is 1000"]);
    expect(checkBounds(held(replica(121)), limits)[0]).toContain("121 uncommitted bytes of group 1");
  });

  it("finds what is left in a queue at rest, and memory that nothing accounts for", () => {
    expect(checkRest(held(replica(0, 9_000_000)), 1_000_000)).toEqual([]);
    expect(checkRest(held({ bufferedBytes: 1 }), 0)[0]).toContain("1 bytes in buffers");
    expect(checkRest(held(replica(1)), 0)[0]).toContain("1 uncommitted bytes");
    expect(checkRest(held(replica(0, 9_000_000)), 0)[0]).toContain("in which 0 were written");
  });
});
