import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { utf8Decode, utf8Encode } from "../../../base/index.ts";
import { Election, KV, Lease, Lock } from "../../../etcd/index.ts";
import { StatusError } from "../testing/client.contract.ts";
import { startTestGateway } from "../testing/gateway.contract.ts";
import type { TestGateway } from "../testing/gateway.contract.ts";

const bytes = utf8Encode;
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway();
});
afterAll(async () => gateway.close());

async function lease(): Promise<bigint> {
  return (await gateway.client.call(Lease.method.leaseGrant, { TTL: 60n })).ID;
}

async function keys(prefix: string): Promise<string[]> {
  const { kvs } = await gateway.client.call(KV.method.range, { key: bytes(prefix), rangeEnd: bytes(`${prefix}~`) });
  return kvs.map(({ key }) => utf8Decode(key));
}

describe("the lock service", () => {
  it("lets one in at a time, in the order in which they came, under etcd's own keys", async () => {
    const [one, two, three] = [await lease(), await lease(), await lease()];
    const held = await gateway.client.call(Lock.method.lock, { name: bytes("l"), lease: one });
    expect(utf8Decode(held.key)).toBe(`l/${one.toString(16)}`);
    const order: string[] = [];
    const second = gateway.client.call(Lock.method.lock, { name: bytes("l"), lease: two }).then((answer) => {
      order.push("second");
      return answer;
    });
    await expect.poll(() => keys("l/")).toHaveLength(2);
    const third = gateway.client.call(Lock.method.lock, { name: bytes("l"), lease: three }).then((answer) => {
      order.push("third");
      return answer;
    });
    await expect.poll(() => keys("l/")).toHaveLength(3);
    // Again by the holder itself: it holds already.
    expect((await gateway.client.call(Lock.method.lock, { name: bytes("l"), lease: one })).key).toEqual(held.key);
    expect(order).toEqual([]);
    await gateway.client.call(Lock.method.unlock, { key: held.key });
    const next = await second;
    expect(order).toEqual(["second"]);
    // A lease that ends opens the way, too.
    await gateway.client.call(Lease.method.leaseRevoke, { ID: two });
    await third;
    expect(order).toEqual(["second", "third"]);
    expect((await third).header?.revision).toBeGreaterThan(next.header?.revision ?? 0n);
  });

  it("leaves no place behind for a client that gave up", async () => {
    const holder = await gateway.client.call(Lock.method.lock, { name: bytes("g"), lease: await lease() });
    const waiting = gateway.client.open(Lock.method.lock);
    waiting.send({ name: bytes("g"), lease: await lease() });
    waiting.end();
    await expect.poll(() => keys("g/")).toHaveLength(2);
    waiting.cancel();
    await expect.poll(() => keys("g/")).toEqual([utf8Decode(holder.key)]);
  });

  it("refuses a lease that is none", async () => {
    const error = await gateway.client.call(Lock.method.lock, { name: bytes("n"), lease: 5n }).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ text: "etcdserver: requested lease not found" });
  });
});

describe("the election service", () => {
  it("elects the next when the leader resigns, and shows each leader and value to observers", async () => {
    const [one, two] = [await lease(), await lease()];
    const name = bytes("e");
    expect(await gateway.client.call(Election.method.leader, { name }).catch((reason: unknown) => reason)).toMatchObject({
      code: 2,
      text: "election: no leader",
    });
    const observer = gateway.client.open(Election.method.observe);
    observer.send({ name });
    const first = await gateway.client.call(Election.method.campaign, { name, lease: one, value: bytes("a") });
    const seen = async (): Promise<string> => utf8Decode((await observer.next()).kv?.value ?? bytes("?"));
    expect(await seen()).toBe("a");
    const second = gateway.client.call(Election.method.campaign, { name, lease: two, value: bytes("b") });
    await expect.poll(() => keys("e/")).toHaveLength(2);
    const leader = first.leader;
    if (leader === undefined) throw new Error("no leader key");
    await gateway.client.call(Election.method.proclaim, { leader, value: bytes("a2") });
    expect(await seen()).toBe("a2");
    expect(utf8Decode((await gateway.client.call(Election.method.leader, { name })).kv?.value ?? bytes("?"))).toBe("a2");
    await gateway.client.call(Election.method.resign, { leader });
    expect(utf8Decode((await second).leader?.key ?? bytes("?"))).toBe(`e/${two.toString(16)}`);
    expect(await seen()).toBe("b");
    const late = await gateway.client.call(Election.method.proclaim, { leader, value: bytes("x") }).catch((reason: unknown) => reason);
    expect(late).toBeInstanceOf(StatusError);
    expect(late).toMatchObject({ code: 2, text: "election: not leader" });
    observer.cancel();
  });
});
