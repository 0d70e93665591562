import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { utf8Encode } from "../../../base/index.ts";
import { startTestGateway } from "../testing/gateway.contract.ts";
import type { TestGateway } from "../testing/gateway.contract.ts";
import { JsonReader } from "./values.ts";

let gateway: TestGateway;
let base = "";

beforeAll(async () => {
  gateway = await startTestGateway();
  base = `http://127.0.0.1:${gateway.port}`;
});
afterAll(async () => gateway.close());

async function post(path: string, body: string, headers: Readonly<Record<string, string>> = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(`${base}/v3${path}`, { method: "POST", body, headers });
  return { status: response.status, text: await response.text() };
}

describe("the JSON gateway", () => {
  it("names fields as the definitions do, 64-bit numbers as text and bytes as base64, as programs over HTTP expect", async () => {
    await post("/kv/put", '{"key":"YQ==","value":"MQ=="}');
    const { status, text } = await post("/kv/range", '{"key":"YQ=="}');
    expect(status).toBe(200);
    const answer = JSON.parse(text) as { header: Record<string, string> };
    expect(Object.keys(answer.header)).toEqual(["cluster_id", "member_id", "revision", "raft_term"]);
    expect(answer).toMatchObject({
      header: { revision: "2" },
      kvs: [{ key: "YQ==", create_revision: "2", mod_revision: "2", version: "1", value: "MQ==" }],
      count: "1",
    });
    const both = '{"success":[{"requestPut":{"key":"YQ==","value":"Mg=="}},{"request_range":{"key":"YQ=="}}]}';
    expect(JSON.parse((await post("/kv/txn", both)).text)).toMatchObject({
      succeeded: true,
      responses: [{ response_put: {} }, { response_range: {} }],
    });
  });

  it("refuses with etcd's text, gRPC's code and HTTP's status", async () => {
    const refusal = { error: "etcdserver: key is not provided", message: "etcdserver: key is not provided", code: 3 };
    const empty = await post("/kv/range", "{}");
    expect([empty.status, JSON.parse(empty.text)]).toEqual([400, refusal]);
    expect((await post("/lease/revoke", '{"ID":"123"}')).status).toBe(404);
    for (const body of ["{bad", "nonsense", "[]", '{"key":5}', '{"key":"*"}', `{"key":"${"A".repeat(5_000_000)}"}`]) {
      const { status, text } = await post("/kv/range", body);
      expect([400, 429]).toContain(status);
      expect(JSON.parse(text)).toHaveProperty("message");
    }
    const order = await post("/kv/range", '{"key":"YQ==","sort_order":"SIDEWAYS"}');
    expect([order.status, JSON.parse(order.text)]).toEqual([
      400,
      expect.objectContaining({ message: 'unknown value "SIDEWAYS" for enum etcdserverpb.RangeRequest_SortOrder', code: 3 }),
    ]);
    expect((await post("/kv/range", '{"key":"YQ==","nobody":"knows"}')).status).toBe(200);
    expect((await post("/kv/nothing", "{}")).status).toBe(404);
    expect((await fetch(`${base}/v3/kv/range`)).status).toBe(405);
  });

  it("takes no writes from pages of other origins", async () => {
    expect((await post("/kv/put", '{"key":"YQ=="}', { origin: "http://elsewhere.example" })).status).toBe(403);
    expect((await post("/kv/put", '{"key":"YQ=="}', { origin: base })).status).toBe(200);
  });

  it("streams a watch as lines and renews leases", async () => {
    expect(JSON.parse((await post("/lease/grant", '{"TTL":60,"ID":"4611686018427387905"}')).text)).toMatchObject({
      ID: "4611686018427387905",
      TTL: "60",
    });
    expect(JSON.parse((await post("/lease/keepalive", '{"ID":"4611686018427387905"}')).text)).toMatchObject({
      result: { ID: "4611686018427387905", TTL: "60" },
    });
    const stop = new AbortController();
    const response = await fetch(`${base}/v3/watch`, { method: "POST", body: '{"create_request":{"key":"dw=="}}', signal: stop.signal });
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
    let text = (await reader?.read())?.value ?? "";
    expect(JSON.parse(text)).toMatchObject({ result: { created: true } });
    await post("/kv/put", '{"key":"dw==","value":"MQ=="}');
    text = (await reader?.read())?.value ?? "";
    expect(JSON.parse(text)).toMatchObject({ result: { events: [{ kv: { key: "dw==", value: "MQ==" } }] } });
    stop.abort();
  });

  it("finds where one object of a stream ends, however it is cut", () => {
    const text = '{"a":{"b":"}\\"{"}}  {"c":1}\n{"d"';
    for (let cut = 0; cut <= text.length; cut++) {
      const reader = new JsonReader(1000);
      const found: string[] = [];
      for (const part of [text.slice(0, cut), text.slice(cut)]) {
        reader.push(utf8Encode(part));
        for (let object = reader.next(); object !== undefined; object = reader.next()) found.push(new TextDecoder().decode(object).trim());
      }
      expect(found).toEqual(['{"a":{"b":"}\\"{"}}', '{"c":1}']);
      expect(reader.isPartial).toBe(true);
    }
  });
});

describe("what is asked in plain HTTP", () => {
  it("answers version, health, readiness and metrics under etcd's paths", async () => {
    const get = async (path: string): Promise<string> => `${(await fetch(base + path)).status} ${await (await fetch(base + path)).text()}`;
    expect(await get("/version")).toBe('200 {"etcdserver":"3.4.23","etcdcluster":"3.4.0"}');
    expect(await get("/health")).toBe('200 {"health":"true","reason":""}');
    expect(await get("/health?serializable=true&exclude=NOSPACE")).toBe('200 {"health":"true","reason":""}');
    expect(await get("/livez")).toBe("200 ok\n");
    expect(await get("/readyz")).toBe("200 ok\n");
    expect(await get("/metrics")).toContain("\netcd_server_has_leader 1\n");
    expect(await get("/")).toBe("404 404 page not found\n");
  });
});
