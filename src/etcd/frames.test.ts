import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { concatBytes } from "../base/index.ts";
import { FrameReader, frameOf } from "./frames.ts";

describe("messages in pieces", () => {
  it("come whole and in order, however the bytes are cut, and what was given is never written over", () => {
    const messages = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });
    fc.assert(
      fc.property(messages, fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1 }), (sent, cuts) => {
        const reader = new FrameReader(1000);
        const bytes = concatBytes(sent.map(frameOf));
        const given: Uint8Array[] = [];
        for (let at = 0, cut = 0; at < bytes.length; cut++) {
          const end = at + (cuts[cut % cuts.length] ?? 1);
          reader.push(bytes.subarray(at, end));
          for (let message = reader.next(); message !== undefined; message = reader.next()) given.push(message);
          at = end;
        }
        expect(given).toEqual(sent);
        expect(reader.heldBytes).toBe(0);
      }),
    );
  });

  it("take no more than twice what has come, though each byte comes by itself", () => {
    const reader = new FrameReader(1_000_000);
    const bytes = frameOf(new Uint8Array(100_000));
    for (let at = 0; at + 1 < bytes.length; at++) {
      reader.push(bytes.subarray(at, at + 1));
      expect(reader.next()).toBeUndefined();
      expect(reader.heldBytes).toBeLessThanOrEqual(2 * (at + 1));
    }
    reader.push(bytes.subarray(bytes.length - 1));
    expect(reader.next()).toHaveLength(100_000);
  });
});
