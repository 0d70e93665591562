import fc from "fast-check";
import { expect, it } from "vitest";
import { MalformedBytes } from "../base/index.ts";
import { decodeClockAnswer, encodeClockAnswer, encodeClockQuestion } from "./index.ts";

it("an answer brings the question's time back, no later than it was asked, and the wall clock of who answers", () => {
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.nat(4e12), (askedMs, wallMs) => {
      const answer = decodeClockAnswer(encodeClockAnswer(encodeClockQuestion(askedMs), wallMs));
      expect(answer.wallMs).toBe(wallMs);
      expect(answer.askedMs).toBeLessThanOrEqual(askedMs);
      expect(askedMs - answer.askedMs).toBeLessThan(0.002);
    }),
  );
});

it("any other bytes are malformed", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 24 }), (bytes) => {
      for (const decode of [decodeClockAnswer, (frame: Uint8Array) => encodeClockAnswer(frame, 0)]) {
        try {
          decode(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedBytes);
        }
      }
    }),
  );
});
