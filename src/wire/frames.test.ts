import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MalformedBytes, Prng, concatBytes, equalBytes, limits } from "../base/index.ts";
import { FrameBatcher, FragmentAssembler, FrameDecoder, FrameType } from "./index.ts";

function framed(frames: readonly Uint8Array[]): Uint8Array {
  return concatBytes(frames.flatMap((frame) => [new Uint8Array(new Uint32Array([frame.length]).buffer), frame]));
}

function cut(bytes: Uint8Array, at: readonly number[]): Uint8Array[] {
  const marks = [0, ...[...at].map((n) => n % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return marks.slice(1).map((end, i) => bytes.slice(marks[i], end));
}

describe("FrameDecoder", () => {
  const frames = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 30 });

  it("gives the same frames however the stream is cut", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 40 }), (sent, cuts) => {
        const decoder = new FrameDecoder();
        const got: Uint8Array[] = [];
        for (const chunk of cut(framed(sent), cuts)) decoder.push(chunk, (frame) => got.push(frame.slice()));
        expect(got).toEqual(sent.map((frame) => new Uint8Array(frame)));
        expect(decoder.partial).toBe(false);
      }),
    );
  });

  it("throws nothing but MalformedBytes, and passes nothing on afterwards", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 64 }), { maxLength: 20 }), (chunks) => {
        const decoder = new FrameDecoder(40);
        let broken = false;
        for (const chunk of chunks) {
          try {
            decoder.push(chunk, (frame) => {
              expect(broken).toBe(false);
              expect(frame.length).toBeLessThanOrEqual(40);
            });
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedBytes);
            broken = true;
          }
        }
      }),
    );
  });

  it("refuses a length of zero and one above the limit as soon as it has read it, byte by byte too", () => {
    const frames: Uint8Array[] = [];
    expect(() => new FrameDecoder(10).push(Uint8Array.of(0, 0, 0, 0), (frame) => frames.push(frame))).toThrow(MalformedBytes);
    expect(() => new FrameDecoder(10).push(Uint8Array.of(11, 0, 0, 0), (frame) => frames.push(frame))).toThrow(MalformedBytes);
    expect(() => new FrameDecoder().push(Uint8Array.of(255, 255, 255, 255), (frame) => frames.push(frame))).toThrow(MalformedBytes);
    const slow = new FrameDecoder(10);
    for (const byte of [11, 0, 0]) slow.push(Uint8Array.of(byte), (frame) => frames.push(frame));
    expect(() => slow.push(Uint8Array.of(0), (frame) => frames.push(frame))).toThrow(MalformedBytes);
    expect(frames).toEqual([]);
  });

  it("stops in the middle of a chunk when told to", () => {
    const decoder = new FrameDecoder();
    let count = 0;
    decoder.push(framed([Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)]), () => {
      if (++count === 2) decoder.stop();
    });
    expect(count).toBe(2);
  });

  it("passes whole frames as views of the chunk", () => {
    const bytes = framed([Uint8Array.of(7, 8)]);
    new FrameDecoder().push(bytes, (frame) => expect(frame.buffer).toBe(bytes.buffer));
  });
});

/** A frame of a lane: type request, an id, and content that tells where it came from. */
function request(id: number, sequence: number, bytes: number): Uint8Array {
  const frame = new Uint8Array(Math.max(9, bytes));
  frame[0] = FrameType.request;
  new DataView(frame.buffer).setUint32(1, id, true);
  new DataView(frame.buffer).setUint32(5, sequence, true);
  for (let i = 9; i < frame.length; i++) frame[i] = (i * 31 + sequence) & 0xff;
  return frame;
}

function receive(decoder: FrameDecoder, assembler: FragmentAssembler, chunk: Uint8Array, got: Uint8Array[]): void {
  decoder.push(chunk, (frame) => {
    const whole = frame[0] === FrameType.fragment ? assembler.push(frame) : frame.slice();
    if (whole !== undefined) got.push(whole);
  });
}

describe("FrameBatcher", () => {
  it("every frame arrives once and unchanged, and frames of one id keep their order, whatever the sizes and the drains", () => {
    for (let seed = 0; seed < 60; seed++) {
      const random = new Prng(seed);
      const batcher = new FrameBatcher(64);
      const decoder = new FrameDecoder();
      const assembler = new FragmentAssembler();
      const sent: Uint8Array[] = [];
      const got: Uint8Array[] = [];
      for (let step = 0; step < 200; step++) {
        const bytes = random.chance(1, 4) ? random.between(65, 2000) : random.between(9, 64);
        const frame = request(random.below(20), step, bytes);
        sent.push(frame);
        // Whole, or as a head, which is used again at once, and a body.
        const at = random.chance(1, 2) ? frame.length : random.between(9, frame.length);
        const head = frame.slice(0, at);
        if (at === frame.length) batcher.push(frame);
        else {
          batcher.push(head, frame.subarray(at));
          head.fill(255);
        }
        if (random.chance(1, 5)) batcher.drain(random.below(400), (chunk) => receive(decoder, assembler, chunk.slice(), got));
        if (random.chance(1, 3)) batcher.reuse();
      }
      while (batcher.queuedBytes > 0) batcher.drain(500, (chunk) => receive(decoder, assembler, chunk.slice(), got));
      expect(batcher.hasPieces).toBe(false);
      expect(assembler.heldBytes).toBe(0);
      const sequence = (frame: Uint8Array): number => new DataView(frame.buffer, frame.byteOffset).getUint32(5, true);
      expect(got.length).toBe(sent.length);
      for (const frame of got) expect(equalBytes(frame, sent[sequence(frame)] as Uint8Array)).toBe(true);
      const last = new Map<number, number>();
      for (const frame of got) {
        const id = new DataView(frame.buffer, frame.byteOffset).getUint32(1, true);
        expect(sequence(frame)).toBeGreaterThan(last.get(id) ?? -1);
        last.set(id, sequence(frame));
      }
    }
  });

  it("a small frame does not wait behind a large one", () => {
    const batcher = new FrameBatcher();
    const decoder = new FrameDecoder();
    const assembler = new FragmentAssembler();
    const got: Uint8Array[] = [];
    batcher.push(request(1, 0, 4_000_000));
    batcher.drain(100_000, (chunk) => receive(decoder, assembler, chunk, got));
    batcher.push(request(2, 1, 50));
    batcher.drain(100_000, (chunk) => receive(decoder, assembler, chunk, got));
    expect(got.map((frame) => frame.length)).toEqual([50]);
    batcher.drain(Number.POSITIVE_INFINITY, (chunk) => receive(decoder, assembler, chunk, got));
    expect(got.map((frame) => frame.length)).toEqual([50, 4_000_000]);
  });

  it("never has more split frames under way than the other side accepts", () => {
    const batcher = new FrameBatcher();
    const decoder = new FrameDecoder();
    const assembler = new FragmentAssembler();
    const got: Uint8Array[] = [];
    for (let i = 0; i < 40; i++) batcher.push(request(i, i, i % 3 === 0 ? limits.frameBytesMax : 70_000));
    while (batcher.queuedBytes > 0) batcher.drain(1 << 20, (chunk) => receive(decoder, assembler, chunk, got));
    expect(got.length).toBe(40);
  });

  it("the frames of a turn travel in one chunk, and a chunk holds whole frames", () => {
    const batcher = new FrameBatcher();
    const chunks: Uint8Array[] = [];
    for (let i = 0; i < 20; i++) batcher.push(request(i, i, 100));
    batcher.drain(0, (chunk) => chunks.push(chunk));
    expect(chunks.length).toBe(1);
    for (let i = 0; i < 5000; i++) batcher.push(request(i, i, 100));
    batcher.drain(0, (chunk) => chunks.push(chunk));
    for (const chunk of chunks) {
      const decoder = new FrameDecoder();
      decoder.push(chunk, () => undefined);
      expect(decoder.partial).toBe(false);
    }
    expect(chunks.length).toBeLessThan(20);
  });
});

function fragment(id: number, total: number, offset: number, piece: number): Uint8Array {
  const bytes = new Uint8Array(13 + piece).fill(200);
  bytes[0] = FrameType.fragment;
  const view = new DataView(bytes.buffer);
  view.setUint32(1, id, true);
  view.setUint32(5, total, true);
  view.setUint32(9, offset, true);
  return bytes;
}

describe("FragmentAssembler", () => {
  it("throws nothing but MalformedBytes and holds a bounded number of bytes", () => {
    const piece = fc.record({ id: fc.nat(30), total: fc.nat(3_000_000), offset: fc.nat(40), piece: fc.nat(40) });
    for (const lossy of [false, true]) {
      fc.assert(
        fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
          const assembler = new FragmentAssembler({ lossy });
          for (const { id, total, offset, piece: length } of pieces) {
            try {
              assembler.push(fragment(id, total, offset, length));
            } catch (error) {
              expect(error).toBeInstanceOf(MalformedBytes);
            }
            expect(assembler.heldBytes).toBeLessThanOrEqual(2 * limits.frameBytesMax);
          }
        }),
      );
    }
  });

  it("on a reliable stream a missing piece is malformed; on a lossy one the frame is lost whole", () => {
    const strict = new FragmentAssembler();
    strict.push(fragment(1, 30, 0, 10));
    expect(() => strict.push(fragment(1, 30, 20, 10))).toThrow(MalformedBytes);
    const lossy = new FragmentAssembler({ lossy: true });
    lossy.push(fragment(1, 30, 0, 10));
    expect(lossy.push(fragment(1, 30, 20, 10))).toBeUndefined();
    expect(lossy.push(fragment(1, 30, 10, 10))).toBeUndefined();
    lossy.push(fragment(2, 20, 0, 10));
    expect(lossy.push(fragment(2, 20, 10, 10))?.length).toBe(20);
    expect(lossy.heldBytes).toBe(0);
  });

  it("refuses fragments within fragments and frames above the limit", () => {
    const nested = fragment(1, 10, 0, 10);
    nested[13] = FrameType.fragment;
    expect(() => new FragmentAssembler().push(nested)).toThrow(MalformedBytes);
    expect(() => new FragmentAssembler().push(fragment(1, limits.frameBytesMax + 1, 0, 10))).toThrow(MalformedBytes);
  });
});
