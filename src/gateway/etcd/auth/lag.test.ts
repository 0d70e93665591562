import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { takeResult } from "../../../api/index.ts";
import type { PutOperation, RawHandle, UnumHandle } from "../../../api/index.ts";
import { defaultKeyspaceName, utf8Encode } from "../../../base/index.ts";
import { startEmbedded } from "../../../embedded.ts";
import { NodeClock, NodeDigests, NodeRandom } from "../../../platform/node/index.ts";
import { silentLogger } from "../../../ports/index.ts";
import type { Call } from "../grpc/index.ts";
import { recordsKeyspace } from "../records.ts";
import { Access } from "./access.ts";
import * as change from "./changes.ts";
import type { AuthChange } from "./changes.ts";
import { AuthKeeper } from "./keeper.ts";
import { Tokens } from "./tokens.ts";

const ports = { clock: new NodeClock(), random: new NodeRandom(), digests: new NodeDigests(), logger: silentLogger };

function isRaw(handle: UnumHandle): handle is RawHandle {
  return "raw" in handle;
}

const data = mkdtempSync(join(tmpdir(), "unum-auth-"));
let close: () => Promise<void>;
let handle: RawHandle;

beforeAll(async () => {
  const embedded = await startEmbedded({ data, listen: "127.0.0.1:0" });
  if (!isRaw(embedded.handle)) throw new Error("a handle speaks the machine's words");
  handle = embedded.handle;
  close = () => embedded.handle.close();
  await handle.ready;
});
afterAll(async () => {
  await close();
  rmSync(data, { recursive: true, force: true });
});

interface Member {
  readonly keeper: AuthKeeper;
  readonly access: Access;
}

/** A member whose watch tells it nothing: it knows what it has asked for, and no more. */
function deafMember(): Member {
  const keeper = new AuthKeeper(ports, handle);
  const within = (): { readonly timeout: number } => ({ timeout: 5_000 });
  const kv = handle.raw(defaultKeyspaceName);
  return { keeper, access: new Access({ kv, within }, keeper, new Tokens(ports, 60_000), true) };
}

/** Of a client whose certificate names this user. */
function callOf(subject: string | undefined): Call {
  const ignore = (): void => undefined;
  return { fields: {}, peer: "", subject, path: "", timeoutMs: undefined, isOver: false, onCancel: ignore, onSettled: ignore };
}

const put: PutOperation = {
  kind: "put",
  key: "k",
  value: utf8Encode("v"),
  lease: 0n,
  previous: false,
  ignoreValue: false,
  ignoreLease: false,
};

function write({ access }: Member, subject: string | undefined): Promise<number> {
  return access.write(
    callOf(subject),
    (rights) => rights.write("k"),
    put,
    (reply) => takeResult(reply, "put").revision,
  );
}

function read({ access }: Member, subject: string | undefined, serializable = false): Promise<string> {
  return access.read(
    callOf(subject),
    (rights) => rights.read("k", ""),
    async () => "shown",
    serializable,
  );
}

const free = (): void => undefined;
const apply = async ({ keeper }: Member, ...changes: readonly AuthChange[]): Promise<void> => {
  for (const next of changes) await keeper.change(next, free);
};

describe("a member that has not heard of a change", () => {
  it("writes nothing by rights that have ended, and shows nothing", async () => {
    const [first, late] = [deafMember(), deafMember()];
    await apply(
      first,
      change.addUser("root", undefined, true),
      change.grantRole("root", "root"),
      change.addUser("alice", undefined, true),
      change.addRole("r"),
      change.grantPermission("r", { key: "k", end: "", type: 2 }),
      change.grantRole("alice", "r"),
      change.enable,
    );
    expect(await write(late, "alice")).toBeGreaterThan(0);
    await apply(first, change.revokeRole("alice", "r"));
    // It still believes in the right.
    expect(await read(late, "alice", true)).toBe("shown");
    await expect(write(late, "alice")).rejects.toThrow("etcdserver: permission denied");
    await apply(first, change.grantRole("alice", "r"));
    expect(await write(late, "alice")).toBeGreaterThan(0);
    await apply(first, change.revokeRole("alice", "r"));
    await expect(read(late, "alice")).rejects.toThrow("etcdserver: permission denied");
  });

  it("that authentication is enabled lets nobody write without a name", async () => {
    const [first, late] = [deafMember(), deafMember()];
    await apply(first, change.disable(first.keeper.secret()));
    expect(await write(late, undefined)).toBeGreaterThan(0);
    await apply(first, change.enable);
    await expect(write(late, undefined)).rejects.toThrow("etcdserver: user name is empty");
  });

  it("loses none of the changes that others make at the same time", async () => {
    const members = [deafMember(), deafMember(), deafMember()];
    const before = deafMember();
    await before.keeper.ready();
    await Promise.all(members.flatMap((member, at) => [1, 2, 3].map((turn) => apply(member, change.addRole(`many ${at} ${turn}`)))));
    const after = deafMember();
    await after.keeper.ready();
    const many = [...(after.keeper.current?.state.roles.keys() ?? [])].filter((name) => name.startsWith("many"));
    expect(many).toHaveLength(9);
    expect(after.keeper.current?.state.revision).toBe((before.keeper.current?.state.revision ?? 0) + 9);
  });
});

describe("the record", () => {
  it("is written again where a restore has raised the mark above it", async () => {
    const member = deafMember();
    await member.keeper.ready();
    const fence = (member.keeper.current?.fence ?? 0) + 3;
    const raised = { kind: "guarded", source: recordsKeyspace, name: "auth", fence, operation: undefined } as const;
    await handle.raw(defaultKeyspaceName).command(raised, (reply) => takeResult(reply, "done"));
    expect(await write(member, "root")).toBeGreaterThan(0);
    expect(member.keeper.current?.fence).toBeGreaterThanOrEqual(fence);
  });

  it("that cannot be read lets nobody do anything", async () => {
    await handle.raw(recordsKeyspace).command({ ...put, key: "auth" }, (reply) => takeResult(reply, "put"));
    const member = deafMember();
    await expect(write(member, "root")).rejects.toThrow("etcdserver: corrupt cluster");
    await expect(read(member, undefined, true)).rejects.toThrow("etcdserver: corrupt cluster");
    await expect(member.keeper.change(change.enable, free)).rejects.toThrow("etcdserver: corrupt cluster");
    expect(() => member.access.rights(callOf("root"))).toThrow("etcdserver: no leader");
  });
});
