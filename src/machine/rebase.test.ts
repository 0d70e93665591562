import { describe, expect, it } from "vitest";
import { commandBytes, decodeReply, queryBytes, type Command } from "./commands/index.ts";
import { keyspaceFactory, type KeyspaceMachine } from "./keyspace.ts";
import { rebaseKeyspace, rebaseRevisions } from "./rebase.ts";

const range = {
  kind: "range",
  key: "\0",
  end: "\0",
  revision: 0,
  limit: 0,
  sort: undefined,
  keysOnly: true,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
} as const;

function keysOf(machine: KeyspaceMachine): readonly string[] {
  const reply = decodeReply(machine.query(queryBytes(range)));
  return reply.ok && reply.result.kind === "range" ? reply.result.entries.map((entry) => entry.key) : [];
}

describe("a keyspace in a restored cluster", () => {
  it("goes on beyond every revision that was ever seen, without sessions, leases and claims, and nothing old can be read or watched", () => {
    const machine = keyspaceFactory({ maxBytes: 10_000 }).create();
    let index = 0;
    const tell = (target: KeyspaceMachine, command: Command, session = 0n): ReturnType<typeof decodeReply> =>
      decodeReply(
        target.apply(commandBytes(command, { session, sequence: 1, floor: 1 }), { index: ++index, position: 0, term: 1, timestamp: 1000 }),
      );
    const put = (key: string, lease = 0n): Command => ({
      kind: "put",
      key,
      value: new Uint8Array(3),
      lease,
      previous: false,
      ignoreValue: false,
      ignoreLease: false,
    });
    tell(machine, { kind: "session-open" });
    tell(machine, { kind: "lease-grant", lease: 5n, ttlMs: 60_000 });
    tell(machine, put("a"));
    tell(machine, put("b"));
    tell(machine, put("lock/5", 5n));
    tell(machine, put("a"));
    tell(machine, { kind: "delete", key: "b", end: "", previous: false });
    const before = machine.revision;
    const rebased = rebaseKeyspace(machine);
    expect(keysOf(rebased)).toEqual(["a"]);
    expect(rebased.revision).toBe(before + rebaseRevisions);
    expect(decodeReply(rebased.query(queryBytes({ ...range, revision: before })))).toMatchObject({ ok: false, code: "COMPACTED" });
    expect(tell(rebased, put("c"), 1n)).toMatchObject({ ok: false, code: "SESSION_EXPIRED" });
    expect(tell(rebased, put("c", 5n))).toMatchObject({ ok: false, code: "LEASE_NOT_FOUND" });
    expect(tell(rebased, put("c"))).toMatchObject({ ok: true, revision: before + rebaseRevisions + 1 });
    expect(tell(rebased, put("huge".repeat(3000)))).toMatchObject({ ok: false, code: "OVER_QUOTA" });
    const source = rebased.snapshot();
    const restorer = keyspaceFactory().restore();
    for (let chunk = source.next(100); chunk !== undefined; chunk = source.next(100)) restorer.push(chunk);
    expect(restorer.finish().hash()).toBe(rebased.hash());
  });
});
