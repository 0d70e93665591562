import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { utf8Encode } from "../../../base/index.ts";
import {
  AlarmRequest_AlarmAction,
  Cluster,
  DowngradeRequest_DowngradeAction,
  Health,
  KV,
  Maintenance,
  ServerReflection,
  etcdErrors,
} from "../../../etcd/index.ts";
import { StatusError } from "../testing/client.contract.ts";
import { startTestGateway } from "../testing/gateway.contract.ts";
import type { TestGateway } from "../testing/gateway.contract.ts";

let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway({ name: "one" });
});
afterAll(async () => gateway.close());

async function refusal(work: Promise<unknown>): Promise<unknown> {
  const error = await work.catch((reason: unknown) => reason);
  return error instanceof StatusError ? { code: error.code, message: error.text } : error;
}
const as = ({ code, message }: { code: number; message: string }): unknown => ({ code, message });

describe("Maintenance", () => {
  it("tells the version, the leader and no alarm", async () => {
    const status = await gateway.client.call(Maintenance.method.status, {});
    expect(status).toMatchObject({ version: "3.4.23", errors: [], isLearner: false, leader: status.header?.memberId });
    expect(status.raftAppliedIndex).toBeGreaterThan(0n);
    expect((await gateway.client.call(Maintenance.method.alarm, { action: AlarmRequest_AlarmAction.GET })).alarms).toEqual([]);
    await gateway.client.call(Maintenance.method.defragment, {});
  });

  it("hashes the entries as of a revision: it changes with them and comes back with them", async () => {
    const hash = async (revision = 0n): Promise<number> => (await gateway.client.call(Maintenance.method.hashKV, { revision })).hash;
    const put = await gateway.client.call(KV.method.put, { key: utf8Encode("h"), value: utf8Encode("1") });
    const before = await hash();
    await gateway.client.call(KV.method.put, { key: utf8Encode("h"), value: utf8Encode("2") });
    expect(await hash()).not.toBe(before);
    expect(await hash(put.header?.revision)).toBe(before);
    expect(await refusal(hash(1_000_000n))).toEqual(as(etcdErrors.futureRevision()));
  });

  it("sends a snapshot that etcdctl's own check accepts: blocks of 512 bytes, and their hash behind them", async () => {
    const stream = gateway.client.open(Maintenance.method.snapshot);
    stream.send({});
    stream.end();
    const all = Buffer.concat((await stream.rest()).map(({ blob }) => blob));
    expect(all.length % 512).toBe(32);
    expect(createHash("sha256").update(all.subarray(0, -32)).digest()).toEqual(all.subarray(-32));
  });

  it("moves the leader only to a voter, and judges downgrades as etcd does", async () => {
    expect(await refusal(gateway.client.call(Maintenance.method.moveLeader, { targetID: 5n }))).toEqual(
      as(etcdErrors.badLeaderTransferee()),
    );
    const validate = (version: string): Promise<unknown> =>
      refusal(gateway.client.call(Maintenance.method.downgrade, { action: DowngradeRequest_DowngradeAction.VALIDATE, version }));
    expect(await validate("x")).toEqual(as(etcdErrors.wrongDowngradeVersion()));
    expect(await validate("3.4")).toEqual(as(etcdErrors.invalidDowngradeVersion()));
    expect(await validate("3.3.0")).toMatchObject({ version: "3.4.0" });
  });
});

describe("Cluster", () => {
  it("lists the members with their addresses, and those that were announced until they are withdrawn", async () => {
    const url = `http://127.0.0.1:${gateway.port}`;
    await expect
      .poll(async () =>
        (await gateway.client.call(Cluster.method.memberList, {})).members.map(({ name, clientURLs }) => [name, clientURLs]),
      )
      .toEqual([["one", [url]]]);
    expect(await refusal(gateway.client.call(Cluster.method.memberAdd, { peerURLs: ["nonsense"] }))).toEqual(
      as(etcdErrors.memberBadUrls()),
    );
    const added = await gateway.client.call(Cluster.method.memberAdd, { peerURLs: ["http://10.0.0.9:2380"], isLearner: true });
    expect(added.members).toHaveLength(2);
    expect(await refusal(gateway.client.call(Cluster.method.memberAdd, { peerURLs: ["http://10.0.0.9:2380"] }))).toEqual(
      as(etcdErrors.peerUrlExists()),
    );
    const removed = await gateway.client.call(Cluster.method.memberRemove, { ID: added.member?.ID ?? 0n });
    expect(removed.members).toHaveLength(1);
    expect(await refusal(gateway.client.call(Cluster.method.memberRemove, { ID: 77n }))).toEqual(as(etcdErrors.memberNotFound()));
    const [one] = removed.members;
    expect(await refusal(gateway.client.call(Cluster.method.memberPromote, { ID: one?.ID ?? 0n }))).toEqual(
      as(etcdErrors.memberNotLearner()),
    );
  });

  it("keeps its own records out of the users' keys and revisions", async () => {
    const before = await gateway.client.call(KV.method.range, { key: utf8Encode("\0"), rangeEnd: utf8Encode("\0") });
    const added = await gateway.client.call(Cluster.method.memberAdd, { peerURLs: ["http://10.0.0.8:2380"] });
    await gateway.client.call(Cluster.method.memberRemove, { ID: added.member?.ID ?? 0n });
    const after = await gateway.client.call(KV.method.range, { key: utf8Encode("\0"), rangeEnd: utf8Encode("\0") });
    expect([after.header?.revision, after.count]).toEqual([before.header?.revision, before.count]);
  });
});

describe("probes", () => {
  it("answers the gRPC health check and reflection", async () => {
    expect(await gateway.client.call(Health.method.check, {})).toMatchObject({ status: 1 });
    expect(await refusal(gateway.client.call(Health.method.check, { service: "x" }))).toEqual({ code: 5, message: "unknown service" });
    const stream = gateway.client.open(ServerReflection.method.serverReflectionInfo);
    stream.send({ messageRequest: { case: "listServices", value: "*" } });
    const { messageResponse } = await stream.next();
    const names = messageResponse.case === "listServicesResponse" ? messageResponse.value.service.map(({ name }) => name) : [];
    expect(names).toContain("etcdserverpb.KV");
    stream.send({ messageRequest: { case: "fileContainingSymbol", value: "etcdserverpb.KV.Range" } });
    const file = (await stream.next()).messageResponse;
    expect(file.case === "fileDescriptorResponse" ? file.value.fileDescriptorProto.length : 0).toBe(3);
    stream.end();
  });
});
