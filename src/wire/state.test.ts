import fc from "fast-check";
import { expect, it } from "vitest";
import { MalformedBytes } from "../base/index.ts";
import type { GroupId, ReplicaId } from "../base/index.ts";
import { decodeStateMessage, encodeStateMessage } from "./index.ts";
import type { StateMessage } from "./index.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const index = fc.nat(Number.MAX_SAFE_INTEGER);
const ends = { from: u32 as fc.Arbitrary<ReplicaId>, to: u32 as fc.Arbitrary<ReplicaId>, index };
const messages: fc.Arbitrary<StateMessage> = fc.oneof(
  fc.record({ type: fc.constant("state-hash" as const), ...ends, hash: fc.stringMatching(/^[0-9a-f]{16}$/) }),
  fc.record({ type: fc.constant("state-wanted" as const), ...ends, minIndex: index }),
);

it("what replicas say of their states comes back as it was", () => {
  fc.assert(
    fc.property(u32, messages, (group, message) => {
      expect(decodeStateMessage(encodeStateMessage(group as GroupId, message))).toEqual({ group, message });
    }),
  );
});

it("any bytes are such a message or MalformedBytes", () => {
  fc.assert(
    fc.property(fc.constantFrom(34, 35, 36), fc.uint8Array({ maxLength: 60 }), (type, bytes) => {
      try {
        decodeStateMessage(Uint8Array.of(type, ...bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedBytes);
      }
    }),
  );
});
