import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DescMessage, DescMethod, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { utf8Encode } from "../../../base/index.ts";
import {
  AlarmRequest_AlarmAction,
  Auth,
  Cluster,
  Compare_CompareResult,
  Compare_CompareTarget,
  Election,
  KV,
  Lease,
  Lock,
  Maintenance,
  Permission_Type,
  Watch,
} from "../../../etcd/index.ts";
import { StatusError } from "../testing/client.contract.ts";
import { startTestGateway } from "../testing/gateway.contract.ts";
import type { TestGateway } from "../testing/gateway.contract.ts";

const bytes = utf8Encode;
let gateway: TestGateway;

type Typed<I extends DescMessage, O extends DescMessage> = DescMethod & { readonly input: I; readonly output: O };
type As = (<I extends DescMessage, O extends DescMessage>(method: Typed<I, O>, init: MessageInitShape<I>) => Promise<MessageShape<O>>) & {
  readonly fields: Readonly<Record<string, string>>;
};

function showing(fields: Readonly<Record<string, string>>): As {
  const call = <I extends DescMessage, O extends DescMessage>(method: Typed<I, O>, init: MessageInitShape<I>): Promise<MessageShape<O>> =>
    gateway.client.call(method, init, fields);
  return Object.assign(call, { fields });
}

async function logIn(name: string, password: string): Promise<As> {
  const { token } = await gateway.client.call(Auth.method.authenticate, { name, password });
  return showing({ token });
}

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof StatusError) return `${error.code} ${error.text}`;
    throw error;
  }
  return "done";
}

const denied = "7 etcdserver: permission denied";
const nobody = showing({});
let root: As;
let user: As;

/** alice: reads [a, c), writes b, both on both/. */
beforeAll(async () => {
  gateway = await startTestGateway();
  await nobody(Auth.method.userAdd, { name: "root", password: "pw" });
  await nobody(Auth.method.userGrantRole, { user: "root", role: "root" });
  await nobody(Auth.method.userAdd, { name: "alice", password: "wonder" });
  await nobody(Auth.method.userAdd, { name: "silent", options: { noPassword: true } });
  await nobody(Auth.method.roleAdd, { name: "some" });
  for (const [key, rangeEnd, permType] of [
    ["a", "c", Permission_Type.READ],
    ["b", "", Permission_Type.WRITE],
    ["both/", "both0", Permission_Type.READWRITE],
  ] as const) {
    await nobody(Auth.method.roleGrantPermission, { name: "some", perm: { key: bytes(key), rangeEnd: bytes(rangeEnd), permType } });
  }
  await nobody(Auth.method.userGrantRole, { user: "alice", role: "some" });
  await nobody(KV.method.put, { key: bytes("x"), value: bytes("secret") });
  await nobody(Auth.method.authEnable, {});
  root = await logIn("root", "pw");
  user = await logIn("alice", "wonder");
});
afterAll(async () => gateway.close());

describe("who somebody is", () => {
  it("is told by a password, whose refusals are etcd's", async () => {
    const wrong = "3 etcdserver: authentication failed, invalid user ID or password";
    expect(await refusal(logIn("alice", "wrong"))).toBe(wrong);
    expect(await refusal(logIn("alice", ""))).toBe(wrong);
    expect(await refusal(logIn("nobody", "pw"))).toBe(wrong);
    expect(await refusal(logIn("silent", ""))).toBe("2 auth: authentication failed, password was given for no password user");
  });

  it("must be said, by a token that is one", async () => {
    expect(await refusal(nobody(KV.method.range, { key: bytes("a") }))).toBe("3 etcdserver: user name is empty");
    expect(await refusal(nobody(Auth.method.userList, {}))).toBe("3 etcdserver: user name is empty");
    const token = root.fields["token"] ?? "";
    const [claim = "", signature = ""] = token.split(".");
    const other = `${claim.slice(0, 8)}${claim[8] === "A" ? "B" : "A"}${claim.slice(9)}.${signature}`;
    for (const bad of ["", "a.1", "x", token.slice(0, -2), `${token}.`, other, `${token}${token}`]) {
      expect(await refusal(showing({ token: bad })(KV.method.range, { key: bytes("a") }))).toBe("16 etcdserver: invalid auth token");
    }
    // As later clients and the JSON gateway write it.
    expect(await refusal(showing({ authorization: `Bearer ${token}` })(KV.method.range, { key: bytes("a") }))).toBe("done");
  });

  it("ends with the password, the user, and authentication", async () => {
    await root(Auth.method.userAdd, { name: "bob", password: "1" });
    const [first, second] = [await logIn("bob", "1"), await logIn("bob", "1")];
    expect(first.fields["token"]).not.toBe(second.fields["token"]);
    expect(await refusal(first(Auth.method.userGet, { name: "bob" }))).toBe("done");
    await root(Auth.method.userChangePassword, { name: "bob", password: "2" });
    expect(await refusal(first(Auth.method.userGet, { name: "bob" }))).toBe("16 etcdserver: invalid auth token");
    expect(await refusal(logIn("bob", "1"))).toContain("authentication failed");
    const third = await logIn("bob", "2");
    await root(Auth.method.userDelete, { name: "bob" });
    await root(Auth.method.userAdd, { name: "bob", password: "2" });
    expect(await refusal(third(Auth.method.userGet, { name: "bob" }))).toBe("16 etcdserver: invalid auth token");
    await root(Auth.method.userDelete, { name: "bob" });
  });
});

describe("what somebody may do", () => {
  it("with keys is what the user's roles say together", async () => {
    const lease = (await root(Lease.method.leaseGrant, { TTL: 60n })).ID;
    await root(KV.method.put, { key: bytes("x"), value: bytes("secret"), lease });
    const cases: readonly (readonly [() => Promise<unknown>, string])[] = [
      [() => user(KV.method.range, { key: bytes("a"), rangeEnd: bytes("c") }), "done"],
      [() => user(KV.method.range, { key: bytes("a"), rangeEnd: bytes("d") }), denied],
      [() => user(KV.method.range, { key: bytes("a"), rangeEnd: bytes("\0") }), denied],
      [() => user(KV.method.range, { key: bytes("x"), serializable: true }), denied],
      [() => user(KV.method.put, { key: bytes("b"), value: bytes("1") }), "done"],
      [() => user(KV.method.put, { key: bytes("b"), value: bytes("1"), prevKv: true }), "done"],
      [() => user(KV.method.put, { key: bytes("a"), value: bytes("1") }), denied],
      [() => user(KV.method.put, { key: bytes("b"), value: bytes("1"), lease }), denied],
      [() => user(KV.method.deleteRange, { key: bytes("both/"), rangeEnd: bytes("both0"), prevKv: true }), "done"],
      [() => user(KV.method.deleteRange, { key: bytes("b"), rangeEnd: bytes("c") }), denied],
      [() => user(Lease.method.leaseRevoke, { ID: lease }), denied],
      [() => user(Lease.method.leaseTimeToLive, { ID: lease, keys: true }), denied],
      [() => user(Lease.method.leaseTimeToLive, { ID: lease }), "done"],
      [() => root(Lease.method.leaseTimeToLive, { ID: lease, keys: true }), "done"],
      [() => user(KV.method.compact, { revision: 1n }), "done"],
    ];
    for (const [index, [work, expected]] of cases.entries()) expect([index, await refusal(work())]).toEqual([index, expected]);
    expect(await refusal(root(Lease.method.leaseRevoke, { ID: lease }))).toBe("done");
    expect((await root(KV.method.range, { key: bytes("x") })).count).toBe(0n);
  });

  it("in transactions counts for comparisons and both branches, however deep", async () => {
    const put = (key: string) => ({ request: { case: "requestPut", value: { key: bytes(key), value: bytes("1") } } }) as const;
    const range = (key: string) => ({ request: { case: "requestRange", value: { key: bytes(key) } } }) as const;
    const remove = (key: string, prevKv: boolean) =>
      ({ request: { case: "requestDeleteRange", value: { key: bytes(key), prevKv } } }) as const;
    const nested = (...success: ReturnType<typeof put>[]) => ({ request: { case: "requestTxn", value: { success } } }) as const;
    const compare = (key: string) => ({
      key: bytes(key),
      target: Compare_CompareTarget.VERSION,
      result: Compare_CompareResult.EQUAL,
      targetUnion: { case: "version", value: 0n } as const,
    });
    const { txn } = KV.method;
    expect(await refusal(user(txn, { compare: [compare("b")], success: [put("b")], failure: [range("b"), remove("both/x", true)] }))).toBe(
      "done",
    );
    expect(await refusal(user(txn, { compare: [compare("x")], success: [put("b")] }))).toBe(denied);
    expect(await refusal(user(txn, { success: [put("b")], failure: [put("x")] }))).toBe(denied);
    expect(await refusal(user(txn, { success: [range("x")] }))).toBe(denied);
    expect(await refusal(user(txn, { success: [remove("x", false)] }))).toBe(denied);
    expect(await refusal(user(txn, { success: [nested(put("b"))] }))).toBe("done");
    expect(await refusal(user(txn, { success: [nested(put("x"))] }))).toBe(denied);
  });

  it("with watches is to read their whole range", async () => {
    const created = async (as: As, key: string, rangeEnd: string): Promise<string> => {
      const stream = gateway.client.open(Watch.method.watch, as.fields);
      stream.send({ requestUnion: { case: "createRequest", value: { key: bytes(key), rangeEnd: bytes(rangeEnd) } } });
      const answer = await stream.next();
      stream.cancel();
      return `${answer?.created} ${answer?.canceled} ${answer?.cancelReason}`;
    };
    expect(await created(user, "a", "c")).toBe("true false ");
    expect(await created(user, "a", "\0")).toBe("true true rpc error: code = PermissionDenied desc = etcdserver: permission denied");
    expect(await created(nobody, "a", "c")).toBe("true true rpc error: code = InvalidArgument desc = etcdserver: user name is empty");
    expect(await created(showing({ token: "x.1" }), "a", "c")).toBe(
      "true true rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
    );
  });

  it("with locks and elections is to read and write their keys", async () => {
    expect(await refusal(user(Lock.method.lock, { name: bytes("both/lock") }))).toBe("done");
    expect(await refusal(user(Lock.method.unlock, { key: bytes("both/lock/1") }))).toBe("done");
    expect(await refusal(user(Lock.method.lock, { name: bytes("a") }))).toBe("2 etcdserver: permission denied");
    expect(await refusal(user(Lock.method.unlock, { key: bytes("x") }))).toBe("2 etcdserver: permission denied");
    expect(await refusal(user(Election.method.leader, { name: bytes("x") }))).toBe("2 etcdserver: permission denied");
    expect(await refusal(user(Election.method.campaign, { name: bytes("x") }))).toBe("2 etcdserver: permission denied");
  });

  it("with the cluster, and with users and roles, is root's alone", async () => {
    const asks = (as: As): readonly (() => Promise<unknown>)[] => [
      () => as(Maintenance.method.defragment, {}),
      () => as(Maintenance.method.hash, {}),
      () => as(Maintenance.method.hashKV, {}),
      () => as(Maintenance.method.alarm, { action: AlarmRequest_AlarmAction.DEACTIVATE }),
      () => as(Auth.method.userList, {}),
      () => as(Auth.method.roleList, {}),
      () => as(Auth.method.userGet, { name: "root" }),
    ];
    for (const work of asks(user)) expect(await refusal(work())).toBe(denied);
    for (const work of asks(root)) expect(await refusal(work())).toBe("done");
    expect(await refusal(user(Cluster.method.memberRemove, { ID: 1n }))).toBe(denied);
    expect(await refusal(user(Maintenance.method.moveLeader, { targetID: 1n }))).toBe(denied);
    expect(await refusal(user(Auth.method.authDisable, {}))).toBe(denied);
    expect(await refusal(user(Auth.method.userAdd, { name: "mallory", password: "x" }))).toBe(denied);
    const stream = gateway.client.open(Maintenance.method.snapshot, user.fields);
    stream.send({});
    stream.end();
    expect(await refusal(stream.rest())).toBe(denied);
    // Clients look for members before they say who they are.
    expect(await refusal(nobody(Cluster.method.memberList, {}))).toBe("done");
    expect(await refusal(nobody(Maintenance.method.status, {}))).toBe("done");
  });

  it("everybody may see of itself", async () => {
    expect((await user(Auth.method.userGet, { name: "alice" })).roles).toEqual(["some"]);
    expect((await user(Auth.method.roleGet, { role: "some" })).perm).toHaveLength(3);
    expect(await refusal(user(Auth.method.roleGet, { role: "root" }))).toBe(denied);
  });

  it("ends in the moment in which it is taken", async () => {
    await root(Auth.method.roleRevokePermission, { role: "some", key: bytes("b"), rangeEnd: bytes("") });
    expect(await refusal(user(KV.method.put, { key: bytes("b"), value: bytes("1") }))).toBe(denied);
    await root(Auth.method.roleGrantPermission, { name: "some", perm: { key: bytes("b"), permType: Permission_Type.WRITE } });
    expect(await refusal(user(KV.method.put, { key: bytes("b"), value: bytes("1") }))).toBe("done");
  });
});

describe("authentication", () => {
  it("through JSON takes the token from `authorization`", async () => {
    const post = async (path: string, body: object, token = ""): Promise<Record<string, unknown>> => {
      const headers: Record<string, string> = token === "" ? {} : { authorization: token };
      const answer = await fetch(`http://127.0.0.1:${gateway.port}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
      return (await answer.json()) as Record<string, unknown>;
    };
    const { token } = await post("/v3/auth/authenticate", { name: "alice", password: "wonder" });
    expect(await post("/v3/kv/range", { key: btoa("b") })).toMatchObject({ code: 3, message: "etcdserver: user name is empty" });
    expect(await post("/v3/kv/range", { key: btoa("x") }, String(token))).toMatchObject({ code: 7 });
    expect(await post("/v3/kv/range", { key: btoa("b") }, String(token))).toMatchObject({ count: "1" });
  });

  it("is told to whoever asks, and ends for everybody", async () => {
    const before = await nobody(Auth.method.authStatus, {});
    expect(before.enabled).toBe(true);
    await root(Auth.method.authDisable, {});
    expect(await refusal(logIn("alice", "wonder"))).toBe("9 etcdserver: authentication is not enabled");
    expect(await refusal(nobody(KV.method.put, { key: bytes("x"), value: bytes("1") }))).toBe("done");
    await nobody(Auth.method.authEnable, {});
    const after = await nobody(Auth.method.authStatus, {});
    expect(after.authRevision).toBe(before.authRevision + 1n);
    // A token of before is none any more.
    expect(await refusal(root(Auth.method.userList, {}))).toBe("16 etcdserver: invalid auth token");
  });
});
