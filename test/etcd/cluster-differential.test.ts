import type { DescMessage, DescMethod, MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Prng } from "../../src/base/index.ts";
import { AlarmRequest_AlarmAction, AlarmType, Cluster, KV, Maintenance, type StatusResponseSchema } from "../../src/etcd/index.ts";
import type { MemberListResponse } from "../../src/etcd/index.ts";
import { StatusError, TestClient } from "../../src/gateway/etcd/testing/client.contract.ts";
import { etcdPath, startEtcd, startUnum } from "../support/etcd.ts";
import type { EtcdCluster } from "../support/etcd.ts";

/** Calls about members and their upkeep, in random order, to a real etcd and to Unum: what is refused, and how, and what is told must be the same.
 * Downgrade is not among them: etcd 3.4 has no such call. */
const seeds = (process.env["UNUM_TEST_SEEDS"] ?? "1,2").split(",");

type Method = DescMethod & { readonly input: DescMessage; readonly output: DescMessage };

interface Asked {
  readonly what: string;
  readonly method: Method;
  init(side: Side): object;
  /** What of an answer is comparable. */
  seen?(answer: object): unknown;
}

interface Side {
  readonly client: TestClient;
  readonly members: MemberListResponse;
}

const ask = <M extends Method>(
  what: string,
  method: M,
  init: (side: Side) => MessageInitShape<M["input"]>,
  seen?: (answer: never) => unknown,
): Asked => ({
  what,
  method,
  init: init as (side: Side) => object,
  ...(seen === undefined ? {} : { seen: seen as (answer: object) => unknown }),
});

const stranger = 0x1234n;
const shape = (members: MemberListResponse["members"]): unknown =>
  members.map(({ clientURLs, isLearner, name, peerURLs }) => [clientURLs.length, isLearner, name !== "", peerURLs.length]).sort();
const ownUrl = ({ members }: Side): string => members.members[0]?.peerURLs[0] ?? "";

const calls: readonly Asked[] = [
  ask(
    "members",
    Cluster.method.memberList,
    () => ({}),
    ({ members }: MemberListResponse) => shape(members),
  ),
  ask("add without a URL", Cluster.method.memberAdd, () => ({ peerURLs: [] })),
  ask("add with no URL", Cluster.method.memberAdd, () => ({ peerURLs: ["nonsense"] })),
  ask("add with a URL without a port", Cluster.method.memberAdd, () => ({ peerURLs: ["http://127.0.0.1"] })),
  ask("add with a member's URL", Cluster.method.memberAdd, (side) => ({ peerURLs: [ownUrl(side)] })),
  ask("remove a stranger", Cluster.method.memberRemove, () => ({ ID: stranger })),
  ask("remove nobody", Cluster.method.memberRemove, () => ({ ID: 0n })),
  ask("update a stranger", Cluster.method.memberUpdate, () => ({ ID: stranger, peerURLs: ["http://127.0.0.1:1"] })),
  ask("update without a URL", Cluster.method.memberUpdate, () => ({ ID: stranger, peerURLs: [] })),
  ask("promote a stranger", Cluster.method.memberPromote, () => ({ ID: stranger })),
  ask("promote a voter", Cluster.method.memberPromote, ({ members }) => ({ ID: members.members[0]?.ID ?? 0n })),
  ask(
    "alarms",
    Maintenance.method.alarm,
    () => ({ action: AlarmRequest_AlarmAction.GET }),
    ({ alarms }: { alarms: unknown[] }) => alarms.length,
  ),
  ask(
    "take back an alarm that there is not",
    Maintenance.method.alarm,
    () => ({ action: AlarmRequest_AlarmAction.DEACTIVATE, alarm: AlarmType.NOSPACE, memberID: stranger }),
    ({ alarms }: { alarms: unknown[] }) => alarms.length,
  ),
  ask(
    "status",
    Maintenance.method.status,
    () => ({}),
    (answer: never) => statusShape(answer),
  ),
  ask("defragment", Maintenance.method.defragment, () => ({})),
  ask(
    "hash",
    Maintenance.method.hash,
    () => ({}),
    ({ header }: { header?: object }) => header !== undefined,
  ),
  ask(
    "hash of the keys",
    Maintenance.method.hashKV,
    () => ({}),
    ({ compactRevision }: { compactRevision: bigint }) => compactRevision,
  ),
  ask("hash of a revision of the future", Maintenance.method.hashKV, () => ({ revision: 1_000_000n })),
  ask("hash of a revision that is compacted", Maintenance.method.hashKV, () => ({ revision: 2n })),
  ask("move the lead to a stranger", Maintenance.method.moveLeader, () => ({ targetID: stranger })),
  ask("move the lead to nobody", Maintenance.method.moveLeader, () => ({ targetID: 0n })),
];

function statusShape(answer: never): unknown {
  const { dbSize, errors, isLearner, leader, raftAppliedIndex, raftIndex, raftTerm, version } = answer as {
    [K in keyof ReturnType<typeof emptyStatus>]: ReturnType<typeof emptyStatus>[K];
  };
  return [dbSize > 0n, errors, isLearner, leader !== 0n, raftAppliedIndex > 0n, raftIndex >= raftAppliedIndex, raftTerm > 0n, version];
}

const emptyStatus = (): MessageInitShape<typeof StatusResponseSchema> & {
  dbSize: bigint;
  errors: string[];
  isLearner: boolean;
  leader: bigint;
  raftAppliedIndex: bigint;
  raftIndex: bigint;
  raftTerm: bigint;
  version: string;
} => ({ dbSize: 0n, errors: [], isLearner: false, leader: 0n, raftAppliedIndex: 0n, raftIndex: 0n, raftTerm: 0n, version: "" });

/** etcd 3.4 now and then never answers a change of members that it refuses: that is no answer to compare with. */
const silence = -1;

async function told(side: Side, { init, method, seen }: Asked): Promise<unknown> {
  try {
    const late = new Promise<never>((_, reject) => setTimeout(() => reject(new StatusError(silence, "no answer")), 10_000).unref());
    const answer = await Promise.race([side.client.call(method as never, init(side) as never), late]);
    return { ok: seen === undefined ? true : seen(answer as object) };
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    return { code: error.code, text: error.text };
  }
}

/** The member that leads: others say so and nothing else to some calls. */
async function leaderOf(endpoints: readonly string[]): Promise<TestClient> {
  for (const endMs = performance.now() + 30_000; performance.now() < endMs; ) {
    for (const endpoint of endpoints) {
      const client = new TestClient(Number(endpoint.split(":").at(-1)));
      const { header, leader } = await client.call(Maintenance.method.status, {});
      if (leader !== 0n && header?.memberId === leader) return client;
      client.close();
    }
  }
  throw new Error("nobody leads");
}

describe.skipIf(etcdPath === undefined)("members and upkeep, beside a real etcd", () => {
  let clusters: readonly EtcdCluster[] = [];
  let sides: readonly Side[] = [];

  beforeAll(async () => {
    clusters = await Promise.all([startEtcd(), startUnum()]);
    sides = await Promise.all(
      clusters.map(async ({ endpoints }) => {
        const client = await leaderOf(endpoints);
        for (const value of ["1", "2", "3"])
          await client.call(KV.method.put, { key: new TextEncoder().encode("a"), value: new TextEncoder().encode(value) });
        await client.call(KV.method.compact, { revision: 3n, physical: true });
        // For some seconds after its start etcd does not look at what it is to add.
        const own = (await client.call(Cluster.method.memberList, {})).members[0]?.peerURLs ?? [];
        for (
          const endMs = performance.now() + 30_000;
          performance.now() < endMs;
          await new Promise((resolve) => setTimeout(resolve, 200))
        ) {
          const text = await client.call(Cluster.method.memberAdd, { peerURLs: own }).catch((error: StatusError) => error.text);
          if (text === "etcdserver: Peer URLs already exists") break;
        }
        return { client, members: await client.call(Cluster.method.memberList, {}) };
      }),
    );
  });

  afterAll(async () => {
    for (const { client } of sides) client.close();
    await Promise.all(clusters.map((cluster) => cluster.close()));
  });

  for (const seed of seeds) {
    it(`are told and refused alike, seed ${seed}`, async () => {
      const prng = new Prng(`upkeep ${seed}`);
      const differences: string[] = [];
      for (const asked of [...calls, ...Array.from({ length: Number(process.env["UNUM_TEST_CALLS"] ?? 60) }, () => prng.pick(calls))]) {
        const [etcd, unum] = await Promise.all(sides.map((side) => told(side, asked)));
        const [theirs, ours] = [etcd, unum].map((answer) =>
          JSON.stringify(answer, (_, value: unknown) => (typeof value === "bigint" ? `${value}n` : value)),
        );
        if ((etcd as { readonly code?: number }).code === silence) continue;
        if (theirs !== ours) differences.push(`${asked.what}: etcd ${theirs}, Unum ${ours}`);
      }
      expect([...new Set(differences)]).toEqual([]);
    });
  }
});
