import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedBytes } from "../base/index.ts";
import { EntryBuilder, readEntry } from "./entry.ts";
import { UpgradeRequired } from "./types.ts";

describe("entries of many commands", () => {
  it("give back the timestamp and every command's bytes, and the builder starts anew", () => {
    const builder = new EntryBuilder();
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 })), fc.nat({ max: Number.MAX_SAFE_INTEGER }), (commands, timestamp) => {
        for (const command of commands) builder.add(command);
        expect(builder.count).toBe(commands.length);
        const size = builder.bytes;
        const data = builder.finish(timestamp);
        expect(data.length).toBe(size);
        expect(builder.count).toBe(0);
        const entry = readEntry(data);
        expect(entry.timestamp).toBe(timestamp);
        expect(entry.count).toBe(commands.length);
        expect([...entry.commands]).toEqual(commands);
      }),
    );
  });

  it("are malformed or of a newer format, and fail in no other way", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, versioned) => {
        if (versioned && bytes.length > 0) bytes[0] = 1;
        try {
          for (const command of readEntry(bytes).commands) expect(command.length).toBeLessThan(40);
        } catch (error) {
          expect(error instanceof MalformedBytes || error instanceof UpgradeRequired).toBe(true);
        }
      }),
    );
  });
});
