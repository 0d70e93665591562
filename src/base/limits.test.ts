import { describe, expect, it } from "vitest";
import { limits } from "./limits.ts";

describe("limits", () => {
  it("are finite and positive: nothing is unlimited", () => {
    for (const [name, value] of Object.entries(limits)) expect([name, Number.isFinite(value) && value > 0]).toEqual([name, true]);
  });

  it("fit into each other: what one lets in, the next can carry", () => {
    expect(limits.requestBytesMax).toBeLessThanOrEqual(limits.entryBytesMax);
    expect(limits.entryBytesMax).toBeLessThan(limits.frameBytesMax);
    expect(limits.appendBytesMax + limits.requestBytesMax).toBeLessThan(limits.frameBytesMax);
    expect(limits.frameSplitBytes).toBeLessThan(limits.frameBytesMax);
    expect(limits.entryBytesMax).toBeLessThanOrEqual(limits.uncommittedBytesMax);
    expect(limits.entryBytesMax).toBeLessThan(limits.walSegmentBytes);
    expect(limits.requestBytesMax).toBeLessThan(limits.connectionBytesMax);
    expect(limits.appendBytesMax).toBeLessThanOrEqual(limits.appendInflightBytesMax);
    expect(limits.keyBytesMax).toBeLessThan(limits.requestBytesMax);
  });

  it("keep deduplication longer than any call may last", () => {
    expect(limits.sessionIdleMs).toBeGreaterThan(limits.deadlineMsMax);
    expect(limits.deadlineMsDefault).toBeLessThanOrEqual(limits.deadlineMsMax);
  });
});
