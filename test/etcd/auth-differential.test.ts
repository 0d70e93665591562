import { create, toJson } from "@bufbuild/protobuf";
import type { DescMessage, DescMethod } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Prng } from "../../src/base/index.ts";
import {
  Auth,
  Cluster,
  Compare_CompareResult,
  Compare_CompareTarget,
  CompareSchema,
  KV,
  RequestOpSchema,
  Watch,
} from "../../src/etcd/index.ts";
import { StatusError, TestClient } from "../../src/gateway/etcd/testing/client.contract.ts";
import { etcdPath, startEtcd, startUnum } from "../support/etcd.ts";
import type { EtcdCluster } from "../support/etcd.ts";

/** Random changes of users and roles, and calls under their rights, to a real etcd and to Unum: every answer and every refusal must be the same. */
const seeds = (process.env["UNUM_TEST_SEEDS"] ?? "1,2,3").split(",");
const callsPerSeed = Number(process.env["UNUM_TEST_CALLS"] ?? 700);
const msPerSeed = 40_000;
const callsMin = Math.min(callsPerSeed, 150);

type Method = DescMethod & { readonly input: DescMessage; readonly output: DescMessage };

interface Asked {
  readonly who: string;
  readonly method: Method;
  readonly init: object;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const users = ["root", "u1", "u2", "u3"];
const roles = ["root", "r1", "r2", "r3"];
const keys = ["a", "a\0", "b", "b1", "c", "d", "\u00ff"];
const ends = ["a0", "b", "b0", "c", "c0", "e", "\u00ffz"];
const permissions = [
  ["\0", "b"],
  ["a", ""],
  ["a\0", "c0"],
  ["b", "c"],
  ["b1", "\0"],
  ["c", "d"],
  ["d", ""],
  ["\u00ff", "\0"],
] as const;
/** The same for all: that nobody's is right counts, not which. */
const passwords = ["1", "1", "1", "2"];

class Source {
  private readonly prng: Prng;

  constructor(seed: string) {
    this.prng = new Prng(`auth ${seed}`);
  }

  pick<T>(items: readonly T[]): T {
    return this.prng.pick(items);
  }

  chance(percent: number): boolean {
    return this.prng.chance(percent, 100);
  }

  /** None that ends before it begins. */
  range(): { key: Uint8Array; rangeEnd: Uint8Array } {
    const key = this.chance(10) ? "\0" : this.pick(keys);
    const kind = this.prng.below(10);
    const end = kind < 4 ? "" : kind < 6 ? "\0" : this.pick(ends);
    return { key: bytes(key), rangeEnd: bytes(end > key || end === "\0" ? end : "") };
  }

  /** One end for each key: of several permissions with the same key etcd finds only the first again, and keeps another one twice. */
  permitted(): { key: Uint8Array; rangeEnd: Uint8Array } {
    const [key, rangeEnd] = this.pick(permissions);
    return { key: bytes(key), rangeEnd: bytes(rangeEnd) };
  }

  /** Of a watch: etcd 3.4 asks for the first key only where there is no end. */
  ended(): { key: Uint8Array; rangeEnd: Uint8Array } {
    const { key, rangeEnd } = this.range();
    return { key, rangeEnd: rangeEnd.length === 1 && rangeEnd[0] === 0 ? bytes("") : rangeEnd };
  }

  user(): string {
    return this.chance(3) ? this.pick(["", "nobody"]) : this.pick(users);
  }

  role(): string {
    return this.chance(3) ? this.pick(["", "none"]) : this.pick(roles);
  }

  next(): Asked {
    // Most changes are root's: otherwise there would be none.
    const kind = this.prng.below(100);
    const changer = this.chance(80) ? "root" : this.pick([...users, ""]);
    const actor = this.pick([...users, "u1", "u2", "u3", ""]);
    if (kind < 12) return this.ask("", Auth.method.authenticate, { name: this.user(), password: this.pick(passwords) });
    if (kind < 45) return this.change(changer);
    if (kind < 90) return this.use(actor);
    return this.ask(actor, ...this.pick(this.looks()));
  }

  private change(who: string): Asked {
    const name = this.user();
    const role = this.role();
    switch (this.prng.below(12)) {
      case 0:
        return this.ask(who, Auth.method.userAdd, { name, password: "1", options: { noPassword: name !== "root" && this.chance(10) } });
      case 1:
        return this.ask(who, this.chance(30) ? Auth.method.userDelete : Auth.method.userGet, { name });
      case 2:
        return this.ask(who, Auth.method.userChangePassword, { name, password: this.pick(passwords) });
      case 3:
      case 4:
        return this.ask(who, Auth.method.userGrantRole, { user: name, role });
      case 5:
        return this.ask(who, Auth.method.userRevokeRole, { name, role });
      case 6:
        return this.ask(who, Auth.method.roleAdd, { name: role });
      case 7:
        return this.ask(who, this.chance(20) ? Auth.method.roleDelete : Auth.method.roleGet, { role });
      case 8:
        return this.ask(who, Auth.method.roleRevokePermission, { role, ...this.permitted() });
      case 9:
        return this.ask(who, this.chance(30) ? Auth.method.authDisable : Auth.method.authEnable, {});
      default:
        return this.ask(who, Auth.method.roleGrantPermission, { name: role, perm: { ...this.permitted(), permType: this.prng.below(3) } });
    }
  }

  private use(who: string): Asked {
    const kind = this.prng.below(8);
    if (kind < 2) return this.ask(who, KV.method.range, { ...this.range(), serializable: this.chance(20) });
    if (kind < 4) return this.ask(who, KV.method.put, { key: bytes(this.pick(keys)), value: bytes("v"), prevKv: this.chance(30) });
    if (kind < 5) return this.ask(who, KV.method.deleteRange, { ...this.range(), prevKv: this.chance(40) });
    if (kind < 6) return this.ask(who, Watch.method.watch, this.ended());
    return this.ask(who, KV.method.txn, this.txn());
  }

  /** One member alone: what a transaction with ranges does there does no harm. */
  private txn(): object {
    const operation = (): object => {
      const kind = this.prng.below(3);
      if (kind === 0) return { case: "requestRange", value: this.range() };
      if (kind === 1) return { case: "requestPut", value: { key: bytes(this.pick(keys)), value: bytes("t") } };
      return { case: "requestDeleteRange", value: { key: bytes(this.pick(["x", "y"])), prevKv: this.chance(50) } };
    };
    // No key twice: that is refused, too, and not by rights.
    const some = (): object[] =>
      Array.from({ length: this.prng.below(2) }, () => create(RequestOpSchema, { request: operation() as never }));
    const compare = create(CompareSchema, {
      ...this.range(),
      result: Compare_CompareResult.EQUAL,
      target: Compare_CompareTarget.VERSION,
      targetUnion: { case: "version", value: BigInt(this.prng.below(3)) },
    });
    return { compare: this.chance(60) ? [compare] : [], success: some(), failure: some() };
  }

  private looks(): readonly (readonly [DescMethod, object])[] {
    return [
      [Auth.method.userList, {}],
      [Auth.method.roleList, {}],
      [Auth.method.userGet, { name: this.user() }],
      [Auth.method.roleGet, { role: this.role() }],
      [Cluster.method.memberRemove, { ID: 77n }],
    ];
  }

  private ask(who: string, method: DescMethod, init: object): Asked {
    return { who, method: method as Method, init };
  }
}

const own = new Set(["cluster_id", "member_id", "raft_term", "token"]);

function normal(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(normal);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).filter(([name]) => !own.has(name));
  return Object.fromEntries(entries.map(([name, inner]) => [name, normal(inner)]));
}

/** One server, and the tokens that it gave: also those that have ended, which are shown all the same. */
class Side {
  private readonly client: TestClient;
  private readonly tokens = new Map<string, string>();
  /** While authentication is not enabled etcd 3.4 refuses tokens that have ended, and later versions do not look at them: none are shown. */
  private isOpen = false;

  constructor(cluster: EtcdCluster) {
    this.client = new TestClient(Number(cluster.endpoints[0]?.split(":")[1]));
  }

  close(): void {
    this.client.close();
  }

  async answer({ init, method, who }: Asked): Promise<string> {
    const token = this.isOpen || method.name === "Authenticate" ? undefined : this.tokens.get(who);
    const fields: Readonly<Record<string, string>> = token === undefined ? {} : { token };
    try {
      if (method.name === "Watch") return await this.watched(fields, init);
      const answer = await this.client.call(method, init as never, fields);
      const json = toJson(method.output, answer, { useProtoFieldName: true }) as { token?: string };
      if (method.name === "AuthEnable" || method.name === "AuthDisable") this.isOpen = method.name === "AuthDisable";
      if (method.name === "Authenticate") this.tokens.set((init as { name: string }).name, json.token ?? "");
      return JSON.stringify(normal(json));
    } catch (error) {
      if (!(error instanceof StatusError)) throw error;
      return `${error.code} ${error.text}`;
    }
  }

  private async watched(fields: Readonly<Record<string, string>>, range: object): Promise<string> {
    const stream = this.client.open(Watch.method.watch, fields);
    stream.send({ requestUnion: { case: "createRequest", value: range as never } });
    const answer = await stream.next();
    stream.cancel();
    return `${answer?.created} ${answer?.canceled} ${answer?.cancelReason}`;
  }
}

describe.skipIf(etcdPath === undefined)("users and roles beside a real etcd, at random", () => {
  let unum: EtcdCluster;
  let etcd: EtcdCluster;

  beforeAll(async () => {
    [unum, etcd] = await Promise.all([startUnum(1), startEtcd(1)]);
  });
  afterAll(async () => {
    await unum?.close();
    await etcd?.close();
  });

  it.each(seeds)("every answer and refusal is the same, seed %s", async (seed) => {
    const [ours, theirs] = [new Side(unum), new Side(etcd)];
    const source = new Source(seed);
    const counts = new Map<string, number>();
    const compare = async (asked: Asked, what: string): Promise<void> => {
      const [mine, real] = await Promise.all([ours.answer(asked), theirs.answer(asked)]);
      const input = asked.method.name === "Watch" ? Watch.method.watch.input : asked.method.input;
      const shown = asked.method.name === "Watch" ? asked.init : toJson(input, create(input, asked.init as never));
      const call = `${what} ${asked.who} ${asked.method.name} ${JSON.stringify(shown)}`;
      expect(`${call}\n${mine}`).toBe(`${call}\n${real}`);
      const kind = real.startsWith("{") || real.includes("true false") ? "done" : real.replace("true true ", "");
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    };
    const endMs = performance.now() + msPerSeed;
    let calls = 0;
    for (; calls < callsPerSeed && performance.now() < endMs; calls++) {
      // Root comes back again and again, whatever chance has made of it.
      if (calls % 50 === 0) {
        const root = (method: DescMethod, init: object): Asked => ({ who: "root", method: method as Method, init });
        for (const password of ["1", "2"]) await compare(root(Auth.method.authenticate, { name: "root", password }), "again");
        await compare(root(Auth.method.userAdd, { name: "root", password: "1" }), "again");
        await compare(root(Auth.method.userGrantRole, { user: "root", role: "root" }), "again");
        await compare(root(Auth.method.authEnable, {}), "again");
        for (const name of users) await compare(root(Auth.method.authenticate, { name, password: "1" }), "again");
      }
      await compare(source.next(), String(calls));
    }
    ours.close();
    theirs.close();
    console.log(`seed ${seed}: ${calls} calls compared: ${[...counts].map(([kind, count]) => `${count} ${kind}`).join(", ")}`);
    expect(calls).toBeGreaterThanOrEqual(callsMin);
  });
});
