import { JsonClient } from "./http.contract.ts";
import type { JsonAnswer, JsonStream } from "./http.contract.ts";

/** What a node of Patroni asks its store, over JSON: bodies and what it reads of the answers. Keys are texts here. */
export class PatroniNode {
  readonly name: string;
  readonly http: JsonClient;
  readonly prefix: string;
  lease = "";

  constructor(port: number, scope: string, name: string) {
    this.http = new JsonClient(port);
    this.prefix = `/service/${scope}/`;
    this.name = name;
  }

  get leaderKey(): string {
    return `${this.prefix}leader`;
  }

  close(): void {
    this.http.close();
  }

  /** The gateway's prefix follows from the version of the cluster. */
  async version(): Promise<string> {
    const { body } = await this.http.get("/version");
    const [major = 0, minor = 0] = String(body["etcdcluster"]).split(".").map(Number);
    return major > 3 || minor >= 4 ? "/v3" : "/v3beta";
  }

  call(method: string, fields: object): Promise<JsonAnswer> {
    return this.http.post(`/v3${method}`, fields);
  }

  range(key: string, end?: string): Promise<JsonAnswer> {
    return this.call("/kv/range", { key: base64(key), ...(end === undefined ? {} : { range_end: base64(end) }), serializable: true });
  }

  /** The whole cluster, as the cache of a node begins. */
  cluster(): Promise<JsonAnswer> {
    return this.range(this.prefix, endOfPrefix(this.prefix));
  }

  async grant(seconds: number): Promise<string> {
    const { body } = await this.call("/lease/grant", { TTL: seconds });
    this.lease = String(body["ID"]);
    return this.lease;
  }

  /** Seconds as text; undefined: the lease is gone. */
  async keepAlive(): Promise<string | undefined> {
    const { body } = await this.call("/lease/keepalive", { ID: this.lease });
    return (body["result"] as { readonly TTL?: string } | undefined)?.TTL;
  }

  put(key: string, value: string): Promise<JsonAnswer> {
    return this.call("/kv/put", { key: base64(key), value: base64(value), ...(this.lease === "" ? {} : { lease: this.lease }) });
  }

  /** Takes the leader's key where there is none. */
  acquire(): Promise<JsonAnswer> {
    const fields = this.leaderFields();
    const compare = { target: "CREATE", create_revision: "0", key: fields.key };
    return this.call("/kv/txn", { compare: [compare], success: [{ request_put: fields }] });
  }

  /** Puts its own lease under the leader's key, or takes the key when it has gone. */
  renewLeader(): Promise<JsonAnswer> {
    const fields = this.leaderFields();
    const isMine = { key: fields.key, target: "VALUE", value: fields.value };
    const isFree = { key: fields.key, target: "CREATE", create_revision: "0" };
    const take = { request_txn: { compare: [isFree], success: [{ request_put: fields }] } };
    return this.call("/kv/txn", { compare: [isMine], success: [{ request_put: fields }], failure: [take] });
  }

  /** Gives the leader's key up, if it is its own. */
  release(): Promise<JsonAnswer> {
    const key = base64(this.leaderKey);
    const compare = { key, target: "VALUE", value: base64(this.name) };
    return this.call("/kv/txn", { compare: [compare], success: [{ request_delete_range: { key } }] });
  }

  /** Puts what has not changed since `revision`. */
  putIf(key: string, value: string, revision: string): Promise<JsonAnswer> {
    const fields = { key: base64(key), value: base64(value) };
    const compare = { target: "MOD", mod_revision: revision, key: fields.key };
    return this.call("/kv/txn", { compare: [compare], success: [{ request_put: fields }] });
  }

  watch(startRevision: string): Promise<JsonStream> {
    const range = { key: base64(this.prefix), range_end: base64(endOfPrefix(this.prefix)) };
    return this.http.stream("/v3/watch", { create_request: { ...range, start_revision: startRevision, filters: [] } });
  }

  private leaderFields(): { readonly key: string; readonly value: string; readonly lease: string } {
    return { key: base64(this.leaderKey), value: base64(this.name), lease: this.lease };
  }
}

export const base64 = (text: string): string => Buffer.from(text).toString("base64");
export const unbase64 = (text: unknown): string => Buffer.from(String(text), "base64").toString();

function endOfPrefix(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}
