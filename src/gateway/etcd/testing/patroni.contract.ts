import { afterAll, beforeAll, expect, it } from "vitest";
import type { Storage } from "./kubernetes.contract.ts";
import { base64, PatroniNode, unbase64 } from "./patroni-node.contract.ts";

let storage: Storage;
const nodes: PatroniNode[] = [];

function node(scope: string, name: string): PatroniNode {
  const made = new PatroniNode(storage.port, scope, name);
  nodes.push(made);
  return made;
}

type Kv = Readonly<Record<string, string>>;
interface WatchEvent {
  readonly type?: string;
  readonly kv: Kv;
}

/** The events of the next line that has some. */
async function nextEvents(stream: Awaited<ReturnType<PatroniNode["watch"]>>): Promise<readonly WatchEvent[]> {
  for (;;) {
    const message = await stream.next();
    const events = (message?.["result"] as { readonly events?: readonly WatchEvent[] } | undefined)?.events;
    if (message === undefined || message["error"] !== undefined) throw new Error(JSON.stringify(message));
    if (events !== undefined && events.length > 0) return events;
  }
}

/** What Patroni asks over JSON, and what it relies on. */
export function patroniContract(start: () => Promise<Storage>): void {
  beforeAll(async () => {
    storage = await start();
  });
  afterAll(async () => {
    for (const one of nodes.splice(0)) one.close();
    await storage?.close();
  });

  findsAndWrites();
  elects();
  keepsItsCache();
}

function findsAndWrites(): void {
  it("finds the gateway's prefix by the version, and the members' addresses", async () => {
    const patroni = node("found", "pg1");
    expect(await patroni.version()).toBe("/v3");
    for (const prefix of ["/v3", "/v3beta"]) {
      const urls = async (): Promise<readonly string[]> => {
        const { status, fields, body } = await patroni.http.post(`${prefix}/cluster/member/list`, {});
        expect([status, fields["content-type"]]).toEqual([200, "application/json"]);
        return (body["members"] as readonly { readonly clientURLs?: readonly string[] }[]).flatMap(({ clientURLs }) => clientURLs ?? []);
      };
      // A node tells the cluster where it answers once it is ready itself.
      await expect.poll(urls).toEqual([`http://127.0.0.1:${storage.port}`]);
    }
  });

  it("writes what has not changed since it was read", async () => {
    const patroni = node("synced", "pg1");
    const first = await patroni.put(`${patroni.prefix}sync`, '{"leader":"pg1"}');
    const { revision = "" } = first.body["header"] as Kv;
    const second = await patroni.putIf(`${patroni.prefix}sync`, '{"leader":"pg2"}', revision);
    expect(second.body["succeeded"]).toBe(true);
    expect((await patroni.putIf(`${patroni.prefix}sync`, '{"leader":"pg3"}', revision)).body["succeeded"]).toBeUndefined();
    const [kv] = (await patroni.range(`${patroni.prefix}sync`)).body["kvs"] as readonly Kv[];
    expect([unbase64(kv?.["value"]), kv?.["mod_revision"]]).toEqual(['{"leader":"pg2"}', (second.body["header"] as Kv)["revision"]]);
    expect(
      (await patroni.call("/kv/deleterange", { key: base64(patroni.prefix), range_end: base64("/service/synced0") })).body["deleted"],
    ).toBe("1");
  });
}

function elects(): void {
  it("elects one leader of two, which renews, loses its lease, and gives the key up", async () => {
    const [one, two] = [node("elected", "pg1"), node("elected", "pg2")];
    expect((await one.cluster()).body["kvs"] ?? []).toEqual([]);
    for (const each of [one, two]) expect(await each.grant(30)).toMatch(/^[1-9][0-9]*$/);
    const answers = await Promise.all([one.acquire(), two.acquire()]);
    // A refused transaction says nothing at all: the field is left out.
    expect(answers.map(({ body }) => body["succeeded"]).filter((each) => each === true)).toHaveLength(1);
    expect(answers.map(({ body }) => "succeeded" in body).filter((each) => each)).toHaveLength(1);
    const [leader, other] = answers[0]?.body["succeeded"] === true ? ([one, two] as const) : ([two, one] as const);
    const [kv] = (await other.range(other.leaderKey)).body["kvs"] as readonly Kv[];
    expect([unbase64(kv?.["value"]), kv?.["lease"], kv?.["version"]]).toEqual([leader.name, leader.lease, "1"]);

    expect(await leader.keepAlive()).toBe("30");
    // Its lease is gone: the answer has no TTL, and a put under it is refused in etcd's words.
    await leader.call("/lease/revoke", { ID: leader.lease });
    expect(await leader.keepAlive()).toBeUndefined();
    const refused = await leader.put(`${leader.prefix}members/${leader.name}`, "{}");
    const words = "etcdserver: requested lease not found";
    expect([refused.status, refused.body]).toEqual([404, { error: words, message: words, code: 5 }]);
    expect((await other.range(other.leaderKey)).body["kvs"] ?? []).toEqual([]);

    // The key has gone with the lease; with a new one it takes it through the nested transaction.
    await leader.grant(30);
    const taken = (await leader.renewLeader()).body;
    const nested = (taken["responses"] as readonly Record<string, Record<string, unknown>>[])[0]?.["response_txn"];
    expect([taken["succeeded"] ?? false, nested?.["succeeded"]]).toEqual([false, true]);
    // From now on the first compare holds.
    expect((await leader.renewLeader()).body["succeeded"]).toBe(true);
    // Whoever does not lead changes nothing, neither way.
    const futile = (await other.renewLeader()).body;
    const inner = (futile["responses"] as readonly Record<string, Record<string, unknown>>[])[0]?.["response_txn"];
    expect([futile["succeeded"] ?? false, inner?.["succeeded"] ?? false]).toEqual([false, false]);
    expect((await other.release()).body["succeeded"] ?? false).toBe(false);
    expect((await leader.release()).body["succeeded"]).toBe(true);
    expect((await other.acquire()).body["succeeded"]).toBe(true);
  });
}

function keepsItsCache(): void {
  it("keeps its cache by a watch in chunks, from the revision of a range", async () => {
    const patroni = node("watched", "pg1");
    await patroni.grant(30);
    await patroni.put(`${patroni.prefix}config`, '{"ttl":30}');
    const { body } = await patroni.cluster();
    const header = body["header"] as Kv;
    const stream = await patroni.watch(header["revision"] ?? "");
    expect([stream.status, stream.fields["transfer-encoding"]]).toEqual([200, "chunked"]);
    expect(await stream.next()).toMatchObject({ result: { created: true } });
    // It begins with the revision that the range has shown.
    expect((await nextEvents(stream))[0]?.kv).toMatchObject({ mod_revision: header["revision"], key: base64(`${patroni.prefix}config`) });
    const put = await patroni.put(`${patroni.prefix}members/pg1`, '{"state":"running"}');
    const [event] = await nextEvents(stream);
    // A put has no type: it is the default.
    expect(event).toEqual({
      kv: {
        key: base64(`${patroni.prefix}members/pg1`),
        value: base64('{"state":"running"}'),
        create_revision: (put.body["header"] as Kv)["revision"],
        mod_revision: (put.body["header"] as Kv)["revision"],
        version: "1",
        lease: patroni.lease,
      },
    });
    await patroni.call("/lease/revoke", { ID: patroni.lease });
    const gone = await nextEvents(stream);
    expect(gone.map(({ type, kv }) => [type, kv["value"]])).toEqual(gone.map(() => ["DELETE", undefined]));
    stream.cancel();
  });

  it("is refused in the two shapes that it reads, and keeps its connection", async () => {
    const patroni = node("refused", "pg1");
    const { status, body } = await patroni.call("/kv/put", { key: "", value: "" });
    expect([status, body]).toEqual([
      400,
      { error: "etcdserver: key is not provided", message: "etcdserver: key is not provided", code: 3 },
    ]);
    // What it would not find stays an error in JSON or a text, never a page.
    expect((await patroni.call("/lease/revoke", { ID: "12345" })).status).toBe(404);
    await patroni.put("/service/refused/a", "1");
    const { revision = "" } = (await patroni.put("/service/refused/a", "2")).body["header"] as Kv;
    await patroni.call("/kv/compaction", { revision });
    const stream = await patroni.watch("1");
    expect(await stream.next()).toMatchObject({ result: { created: true } });
    expect(await stream.next()).toMatchObject({ result: { canceled: true, compact_revision: revision } });
    stream.cancel();
    expect(patroni.http.connections.size).toBe(1);
  });
}
