import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { AssertionFailure } from "./assert.ts";
import {
  MalformedBytes,
  Reader,
  Writer,
  compareBytes,
  concatBytes,
  emptyBytes,
  equalBytes,
  isWellFormed,
  latin1Decode,
  latin1Encode,
} from "./bytes.ts";

const some = (...values: number[]): Uint8Array => Uint8Array.from(values);

describe("Writer and Reader", () => {
  it("reads back every kind of value, whatever the buffer's first size", () => {
    for (const capacity of [0, 1, 7, 256]) {
      const writer = new Writer(capacity)
        .u8(0xff)
        .u16(0xfffe)
        .u32(0xfffffffd)
        .u64(Number.MAX_SAFE_INTEGER)
        .big64(2n ** 64n - 1n);
      writer
        .f64(-1.5)
        .blob(some(1, 2, 3))
        .latin1("\u0000\u00ff")
        .text("€𝄞")
        .raw(some(9, 8));
      const reader = new Reader(writer.take());
      expect([reader.u8(), reader.u16(), reader.u32(), reader.u64()]).toEqual([0xff, 0xfffe, 0xfffffffd, Number.MAX_SAFE_INTEGER]);
      expect([reader.big64(), reader.f64(), [...reader.blob()]]).toEqual([2n ** 64n - 1n, -1.5, [1, 2, 3]]);
      expect([reader.latin1(), reader.text(), [...reader.rest()]]).toEqual(["\u0000\u00ff", "€𝄞", [9, 8]]);
      reader.finish();
    }
  });

  it("keeps any 64-bit number that JavaScript can hold", () => {
    fc.assert(
      fc.property(fc.maxSafeNat(), (value) => {
        const bytes = new Writer().u64(value).take();
        expect(new Reader(bytes).u64()).toBe(value);
        expect(new Reader(bytes).big64()).toBe(BigInt(value));
      }),
    );
  });

  it("refuses numbers that 64 bits or JavaScript would change", () => {
    for (const value of [-1, 2 ** 53, 1.5, Number.NaN]) expect(() => new Writer().u64(value)).toThrow(AssertionFailure);
    expect(() => new Reader(new Writer().big64(2n ** 53n).take()).u64()).toThrow(MalformedBytes);
  });

  it("refuses characters that one byte cannot hold, instead of storing another key", () => {
    expect(() => new Writer().latin1("a\u0100")).toThrow(AssertionFailure);
    expect(() => latin1Encode("\u0141")).toThrow(AssertionFailure);
  });

  it("is little-endian", () => {
    expect([...new Writer().u16(0x0102).u32(0x03040506).u64(0x0708).take()]).toEqual([2, 1, 6, 5, 4, 3, 8, 7, 0, 0, 0, 0, 0, 0]);
  });

  it("says that bytes end too early, for every method and every cut", () => {
    const whole = new Writer().u8(1).u16(2).u32(3).u64(4).big64(5n).f64(6).blob(some(1, 2)).latin1("ab").text("ab").take();
    for (let cut = 0; cut < whole.length; cut++) {
      const reader = new Reader(whole.subarray(0, cut));
      expect(() => {
        reader.u8();
        reader.u16();
        reader.u32();
        reader.u64();
        reader.big64();
        reader.f64();
        reader.blob();
        reader.latin1();
        reader.text();
      }).toThrow(MalformedBytes);
    }
  });

  it("takes no length from outside that is negative or no number", () => {
    for (const length of [-1, Number.NaN, 5]) expect(() => new Reader(some(1, 2, 3, 4)).raw(length)).toThrow(MalformedBytes);
  });

  it("reads only between its bounds, in a view of a larger buffer", () => {
    const inner = some(0, 0, 1, 2, 3, 4, 0).subarray(2, 6);
    const reader = new Reader(inner, 1, 3);
    expect([reader.offset, reader.remaining, reader.u16(), reader.remaining]).toEqual([1, 2, 0x0302, 0]);
    expect(() => reader.u8()).toThrow(MalformedBytes);
    expect(() => new Reader(inner, 0, 5)).toThrow(AssertionFailure);
  });

  it("tells bytes left over", () => {
    const reader = new Reader(some(1, 2));
    reader.u8();
    expect(() => reader.finish()).toThrow("1 bytes left over");
  });

  it("patches a length written before, and nothing beyond what was written", () => {
    const writer = new Writer();
    writer.u32(0).raw(some(7, 7));
    writer.patchU32(0, writer.length);
    expect([...writer.peek()]).toEqual([6, 0, 0, 0, 7, 7]);
    expect(() => writer.patchU32(3, 1)).toThrow(AssertionFailure);
  });

  it("never writes into bytes that it handed out", () => {
    const writer = new Writer(4);
    const first = writer.u32(0x01010101).take();
    const second = writer.u32(0x02020202).copy();
    const third = writer.u32(0x03030303).take();
    writer.u32(0x04040404);
    expect([...first, ...second, ...third]).toEqual([1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
    writer.reset();
    expect(writer.length).toBe(0);
  });

  it("keeps no large buffer alive behind a small frame", () => {
    const writer = new Writer();
    writer.raw(new Uint8Array(1 << 20)).take();
    writer.u8(1).take();
    expect(writer.u8(1).take().buffer.byteLength).toBe(64);
  });
});

describe("bytes", () => {
  it("compares as unsigned bytes, a prefix first", () => {
    const ordered = [emptyBytes, some(0), some(0, 0), some(0, 1), some(0x7f), some(0x80), some(0xff), some(0xff, 0)];
    for (const [i, a] of ordered.entries())
      for (const [j, b] of ordered.entries()) expect(Math.sign(compareBytes(a, b))).toBe(Math.sign(i - j));
  });

  it("has one order, whether keys are bytes or latin1 strings", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        const [x, y] = [latin1Decode(a), latin1Decode(b)];
        expect(Math.sign(compareBytes(a, b))).toBe(x < y ? -1 : x > y ? 1 : 0);
        expect(equalBytes(a, b)).toBe(x === y);
      }),
    );
  });

  it("turns any bytes into latin1 and back, beyond one chunk too", () => {
    const large = Uint8Array.from({ length: 20_000 }, (_, i) => (i * 31) & 0xff);
    expect(equalBytes(latin1Encode(latin1Decode(large)), large)).toBe(true);
    expect(latin1Decode(large).length).toBe(20_000);
  });

  it("joins chunks in order", () => {
    expect([...concatBytes([some(1), emptyBytes, some(2, 3)])]).toEqual([1, 2, 3]);
    expect(concatBytes([]).length).toBe(0);
  });

  it("knows a lone surrogate", () => {
    expect(["", "a", "𝄞", "a𝄞b"].every(isWellFormed)).toBe(true);
    expect(["\ud834", "\udd1e", "\udd1e\ud834", "a\ud834b", "𝄞\ud834"].some(isWellFormed)).toBe(false);
  });
});

describe("pieces cut from a writer's buffer", () => {
  it("never change afterwards, whatever is written, patched, taken or reset behind them", () => {
    const writer = new Writer();
    const pieces: { readonly bytes: Uint8Array; readonly expected: Uint8Array }[] = [];
    for (let round = 0; round < 2000; round++) {
      const length = round % 97 === 0 ? 70_000 : round % 300;
      const content = new Uint8Array(length).fill(round & 255);
      writer.u32(0).raw(content);
      writer.patchU32(0, length);
      expect(writer.length).toBe(4 + length);
      const bytes = round % 5 === 0 ? writer.copy() : round % 7 === 0 ? writer.take() : writer.cut();
      const expected = new Writer().u32(length).raw(content).take();
      pieces.push({ bytes, expected });
      if (round % 11 === 0) {
        writer.u8(99);
        writer.reset();
      }
    }
    for (const { bytes, expected } of pieces) expect(equalBytes(bytes, expected)).toBe(true);
  });
});
