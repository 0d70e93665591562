import { describe, expect, it } from "vitest";
import { MalformedBytes, Prng, isUnumError } from "../../../base/index.ts";
import { FrameSplitter, OversizeFrame } from "./frames.ts";
import { JuteReader, JuteWriter } from "./jute.ts";
import { decodeConnectResponse, readEvent, readReplyHeader, readStat } from "./messages.ts";
import { readMulti, readMultiRead } from "./multi.ts";
import { Chroot, checkPath, parseConnectText } from "./paths.ts";

describe("jute", () => {
  it("is big-endian, each length in front", () => {
    const writer = new JuteWriter(1)
      .int(-2)
      .long(-3n)
      .bool(true)
      .text("é")
      .buf(new Uint8Array([7]))
      .texts(["a", ""]);
    const expected = "fffffffe fffffffffffffffd 01 00000002 c3a9 00000001 07 00000002 00000001 61 00000000";
    expect(Buffer.from(writer.take()).toString("hex")).toBe(expected.replaceAll(" ", ""));
  });

  it("reads what it wrote, and what is absent as empty", () => {
    const bytes = new JuteWriter().int(-1).int(-1).int(-1).long(9n).texts(["x"]).take();
    const reader = new JuteReader(bytes);
    expect([reader.text(), reader.buf().length, reader.texts(), reader.safeLong(), reader.texts()]).toEqual(["", 0, [], 9, ["x"]]);
    expect(reader.remaining).toBe(0);
  });

  it.each([
    ["a count below absent", new JuteWriter().int(-2).take(), (reader: JuteReader) => reader.buf()],
    ["more elements than bytes", new JuteWriter().int(1_000_000_000).take(), (reader: JuteReader) => reader.texts()],
    ["a buffer that is cut off", new JuteWriter().int(5).int(0).take(), (reader: JuteReader) => reader.buf()],
    ["a text that is no UTF-8", new JuteWriter().buf(new Uint8Array([0xff])).take(), (reader: JuteReader) => reader.text()],
    ["a number too large", new JuteWriter().long(2n ** 60n).take(), (reader: JuteReader) => reader.safeLong()],
    ["a boolean of 2", new Uint8Array([2]), (reader: JuteReader) => reader.bool()],
  ])("refuses %s", (_, bytes, read) => {
    expect(() => read(new JuteReader(bytes))).toThrow(MalformedBytes);
  });

  it("gives a value or MalformedBytes for any bytes", () => {
    const prng = new Prng("jute");
    const readers: ((bytes: Uint8Array) => unknown)[] = [
      decodeConnectResponse,
      (bytes) => readReplyHeader(new JuteReader(bytes)),
      (bytes) => readStat(new JuteReader(bytes)),
      (bytes) => readEvent(new JuteReader(bytes)),
      (bytes) => readMulti(new JuteReader(bytes), [{ kind: "check", path: "/a" }]),
      (bytes) => readMultiRead(new JuteReader(bytes), [{ kind: "get", path: "/a" }]),
    ];
    for (let round = 0; round < 3_000; round++) {
      const bytes = Uint8Array.from({ length: prng.below(100) }, () => (prng.chance(2, 3) ? prng.below(3) : prng.below(256)));
      for (const read of readers) {
        try {
          read(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedBytes);
        }
      }
    }
  });
});

describe("frames", () => {
  it("are found however the stream is cut", () => {
    const prng = new Prng("frames");
    for (let round = 0; round < 200; round++) {
      const sent = Array.from({ length: 1 + prng.below(5) }, () => new Uint8Array(prng.below(40)).fill(prng.below(256)));
      const stream = new JuteWriter();
      for (const body of sent) stream.buf(body);
      const bytes = stream.take();
      const found: Uint8Array[] = [];
      const splitter = new FrameSplitter(64, (body) => found.push(body.slice()));
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, at + 1 + prng.below(20));
        splitter.push(bytes.subarray(at, end));
        at = end;
      }
      expect(found).toEqual(sent);
    }
  });

  it("beyond the limit are told with the request that they answer", () => {
    const splitter = new FrameSplitter(64, () => undefined);
    splitter.push(new JuteWriter().int(65).take());
    expect(() => splitter.push(new JuteWriter().int(42).take())).toThrow(OversizeFrame);
    expect(() => new FrameSplitter(64, () => undefined).push(new JuteWriter().int(-1).take())).toThrow(MalformedBytes);
  });
});

describe("paths", () => {
  it("are refused where a server would close the connection or refuse them", () => {
    for (const path of ["", "a", "/a/", "//", "/a//b", "/.", "/a/../b", "/a\0", "/\u001f", "/\u007f", "/😀", "/\ue000", "/\uffff"])
      expect(() => checkPath(path), JSON.stringify(path)).toThrowError(/no path/);
    for (const path of ["/", "/a", "/a/.b", "/a/...", "/é/漢", "/zookeeper"]) expect(() => checkPath(path)).not.toThrow();
    expect(() => checkPath("/a/", true)).not.toThrow();
  });

  it("lie below the chroot at the servers", () => {
    const chroot = new Chroot("/r");
    expect([chroot.add("/"), chroot.add("/a"), chroot.add("/", true)]).toEqual(["/r", "/r/a", "/r/"]);
    expect([chroot.strip("/r"), chroot.strip("/r/a"), chroot.strip("/rr")]).toEqual(["/", "/a", "/rr"]);
    expect(new Chroot("/").add("/a")).toBe("/a");
  });

  it("of servers are written as ZooKeeper's clients take them", () => {
    expect(parseConnectText("a:1, b,[::1]:3/x/y")).toEqual({
      servers: [
        { host: "a", port: 1 },
        { host: "b", port: 2181 },
        { host: "::1", port: 3 },
      ],
      chroot: "/x/y",
    });
    for (const text of ["", "/a", "a,,b", "a:99999", "a/b/"]) {
      expect(() => parseConnectText(text), text).toThrow();
      try {
        parseConnectText(text);
      } catch (error) {
        expect(isUnumError(error, "INVALID_ARGUMENT")).toBe(true);
      }
    }
  });
});
