import { fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { utf8Decode, utf8Encode } from "../../../base/index.ts";
import { KV, Watch, WatchCreateRequest_FilterType, WatchResponseSchema, framePrefixBytes } from "../../../etcd/index.ts";
import { startTestGateway } from "../testing/gateway.contract.ts";
import type { TestGateway } from "../testing/gateway.contract.ts";
import { Told, encodedId } from "./told.ts";

const bytes = utf8Encode;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(async () => gateway.close());

const put = (key: string, value: Uint8Array = bytes("1")): Promise<unknown> =>
  gateway.client.call(KV.method.put, { key: bytes(key), value });

function opened(): ReturnType<typeof gateway.client.open<typeof Watch.method.watch.input, typeof Watch.method.watch.output>> {
  return gateway.client.open(Watch.method.watch);
}

describe("watches that share a feed", () => {
  it("each see what they asked for, from their own beginning, under their own id", async () => {
    const range = { key: bytes("f/"), rangeEnd: bytes("f0") };
    const stream = opened();
    const create = async (value: object): Promise<void> => {
      stream.send({ requestUnion: { case: "createRequest", value: { ...range, ...value } } });
      expect((await stream.next()).created).toBe(true);
    };
    await create({ watchId: 1n });
    await put("f/1");
    expect(await stream.next()).toMatchObject({ watchId: 1n, events: [{ kv: { key: bytes("f/1") } }] });
    // These begin later, and must not see what was before them.
    await create({ watchId: 0x7fff_ffff_ffff_ffffn });
    await create({ watchId: -5n, filters: [WatchCreateRequest_FilterType.NOPUT] });
    await create({ watchId: 300n, prevKv: true });
    await put("f/1", bytes("2"));
    await gateway.client.call(KV.method.deleteRange, { key: bytes("f/1") });
    const seen: string[] = [];
    for (let i = 0; i < 7; i++) {
      const { watchId, events } = await stream.next();
      for (const { type, prevKv } of events) seen.push(`${watchId} ${type}${prevKv === undefined ? "" : ` ${utf8Decode(prevKv.value)}`}`);
    }
    expect(seen.sort()).toEqual(["-5 1", "1 0", "1 1", "300 0 1", "300 1 2", "9223372036854775807 0", "9223372036854775807 1"].sort());
    stream.cancel();
  });

  it("do not wait for one whose client does not read, which loses nothing and repeats nothing", async () => {
    const range = { key: bytes("s/"), rangeEnd: bytes("s0") };
    const [slow, fast] = [opened(), opened()];
    for (const stream of [slow, fast]) {
      stream.send({ requestUnion: { case: "createRequest", value: range } });
      await stream.next();
    }
    slow.http.pause();
    const value = new Uint8Array(256 * 1024);
    const count = 40;
    for (let i = 0; i < count; i++) await put(`s/${i}`, value);
    const revisions = async (stream: typeof slow): Promise<bigint[]> => {
      const seen: bigint[] = [];
      while (seen.length < count) for (const { kv } of (await stream.next()).events) seen.push(kv?.modRevision ?? 0n);
      return seen;
    };
    const expected = await revisions(fast);
    expect(new Set(expected).size).toBe(count);
    slow.http.resume();
    expect(await revisions(slow)).toEqual(expected);
    await put("s/after");
    expect((await slow.next()).events).toHaveLength(1);
    for (const stream of [slow, fast]) stream.cancel();
  });

  it("answers progress for a stream of many watches with one message, behind all their events", async () => {
    const stream = opened();
    for (let i = 0; i < 20; i++) {
      stream.send({ requestUnion: { case: "createRequest", value: { key: bytes("m/"), rangeEnd: bytes("m0") } } });
      await stream.next();
    }
    await put("m/1");
    stream.send({ requestUnion: { case: "progressRequest", value: {} } });
    for (let i = 0; i < 20; i++) expect((await stream.next()).events).toHaveLength(1);
    expect(await stream.next()).toMatchObject({ watchId: -1n, events: [] });
    stream.cancel();
  });

  it("answers progress only once the end of a watch that held it up is told (campaign of fe8955d, beyond 2248)", async () => {
    const stream = opened();
    stream.send({ requestUnion: { case: "createRequest", value: { key: bytes("e/"), rangeEnd: bytes("e0"), watchId: 7n } } });
    await stream.next();
    // Both are served in one turn: the watch goes while the others' progress waits for it.
    stream.send({ requestUnion: { case: "progressRequest", value: {} } });
    stream.send({ requestUnion: { case: "cancelRequest", value: { watchId: 7n } } });
    expect([await stream.next(), await stream.next()]).toMatchObject([{ watchId: 7n, canceled: true }, { watchId: -1n }]);
    stream.cancel();
  });

  it("cuts a revision larger than a message only for those that take fragments", async () => {
    const stream = opened();
    const create = { key: bytes("g/"), rangeEnd: bytes("g0") };
    stream.send({ requestUnion: { case: "createRequest", value: { ...create, watchId: 1n, fragment: true } } });
    stream.send({ requestUnion: { case: "createRequest", value: { ...create, watchId: 2n } } });
    expect([(await stream.next()).created, (await stream.next()).created]).toEqual([true, true]);
    const value = new Uint8Array(700 * 1024);
    for (let i = 0; i < 3; i++) await put(`g/${i}`, value);
    for (let i = 0; i < 6; i++) await stream.next();
    // With the values as they were before, a deletion of all is larger than a request may be.
    stream.send({ requestUnion: { case: "createRequest", value: { ...create, watchId: 3n, fragment: true, prevKv: true } } });
    await stream.next();
    await gateway.client.call(KV.method.deleteRange, create);
    const counts: Record<string, number[]> = {};
    const flags: boolean[] = [];
    for (let left = 9; left > 0; ) {
      const { watchId, events, fragment } = await stream.next();
      left -= events.length;
      counts[String(watchId)] = [...(counts[String(watchId)] ?? []), events.length];
      if (watchId === 3n) flags.push(fragment);
    }
    expect(counts).toEqual({ "1": [3], "2": [3], "3": [2, 1] });
    expect(flags).toEqual([true, false]);
    stream.cancel();
  });
});

describe("a message told to many", () => {
  it("is what the generated codec writes, for every id", () => {
    const header = { clusterId: 0xffff_ffff_ffff_ffffn, memberId: 0xffff_ffff_ffff_fffen, revision: 9_007_199_254_740_991n, raftTerm: 7n };
    const entry = { key: "k\xff", value: bytes("v"), createRevision: 2, modRevision: 3, version: 2, lease: 0xffff_ffff_ffff_ffffn };
    const change = { revision: 3, events: [{ kind: "put" as const, entry, previous: { ...entry, value: bytes("old") } }] };
    const told = new Told(change, { noPut: false, noDelete: false }, true, header);
    for (const id of [0n, 1n, 127n, 128n, 300n, 0x7fff_ffffn, 0x8000_0000n, 0x7fff_ffff_ffff_ffffn, -1n, -0x8000_0000_0000_0000n]) {
      const frame = told.frameFor(encodedId(id));
      expect(fromBinary(WatchResponseSchema, frame.subarray(framePrefixBytes))).toMatchObject({
        header,
        watchId: id,
        events: [{ kv: { key: Uint8Array.of(0x6b, 0xff), lease: -1n }, prevKv: { value: bytes("old") } }],
      });
      expect(new DataView(frame.buffer, frame.byteOffset).getUint32(1)).toBe(frame.length - framePrefixBytes);
    }
  });
});
