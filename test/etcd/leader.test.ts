import { afterEach, describe, expect, it } from "vitest";
import { KV, Watch } from "../../src/etcd/index.ts";
import { StatusError, TestClient } from "../../src/gateway/etcd/testing/client.contract.ts";
import { etcdPath, startEtcd, startUnum } from "../support/etcd.ts";
import type { EtcdCluster } from "../support/etcd.ts";

let cluster: EtcdCluster | undefined;
let client: TestClient | undefined;
afterEach(async () => {
  client?.close();
  await cluster?.close();
});

const key = Buffer.from("k");
const code = async (work: Promise<unknown>): Promise<unknown> => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  return error instanceof StatusError ? [error.code, error.text] : error;
};

/** The last of three members, on whose leader its clients wait. */
function alone(start: () => Promise<EtcdCluster>): void {
  it("ends the streams that want a leader, refuses new ones, keeps the others, and answers reads of its own state", async () => {
    cluster = await start();
    const port = Number(cluster.endpoints[2]?.split(":")[1]);
    client = new TestClient(port);
    await client.call(KV.method.put, { key, value: key });
    const watch = (fields: Readonly<Record<string, string>>) => {
      const stream = (client as TestClient).open(Watch.method.watch, fields);
      stream.send({ requestUnion: { case: "createRequest", value: { key } } });
      return stream;
    };
    const [bound, free] = [watch({ hasleader: "true" }), watch({})];
    for (const stream of [bound, free]) expect((await stream.next()).created).toBe(true);
    await cluster.kill(0);
    await cluster.kill(1);
    const noLeader = [14, "etcdserver: no leader"];
    expect(await code(bound.next())).toEqual(noLeader);
    for (let i = 0; i < 20; i++) expect(await code(watch({ hasleader: "true" }).next())).toEqual(noLeader);
    const late = watch({});
    expect((await late.next()).created).toBe(true);
    const read = await client.call(KV.method.range, { key, serializable: true });
    expect(read.kvs[0]?.value).toEqual(new Uint8Array(key));
    // Its server may see the deadline first, or the client.
    const [status] = (await code(client.call(KV.method.put, { key }, { "grpc-timeout": "500m" }))) as readonly [number];
    expect([2, 4]).toContain(status);
    for (const stream of [free, late]) stream.cancel();
  });
}

describe("a member of Unum without a leader", () => alone(() => startUnum()));
describe.skipIf(etcdPath === undefined)("a member of etcd without a leader", () => alone(() => startEtcd()));
