import { expect, it } from "vitest";
import type { GroupId, ReplicaId } from "../../base/index.ts";
import { EntryBuilder, commandBytes } from "../../machine/index.ts";
import { EntryKind } from "../../raft/index.ts";
import type { Message } from "../../raft/index.ts";
import { Renewals } from "./index.ts";

const group = 1 as GroupId;
const [leader, follower] = [1 as ReplicaId, 2 as ReplicaId];

/** An entry with a revoke in it, on its way from the leader of `term`; `by`: the term that the revoke bears, 0 for a client's. */
function revoke(lease: bigint, term: number, by: number): Message {
  const builder = new EntryBuilder();
  builder.add(commandBytes({ kind: "lease-checkpoint", leases: [] }));
  builder.add(commandBytes({ kind: "lease-revoke", lease, term: by }));
  const entries = [{ index: 7, term, kind: EntryKind.normal, data: builder.finish(1) }];
  return { type: "append", from: leader, to: follower, term, prevIndex: 6, prevTerm: term, entries, commit: 6 } as unknown as Message;
}

it("a leader that proposed to revoke a lease, since its time was over, renews it no more in that term", () => {
  const renewals = new Renewals();
  renewals.sent(group, revoke(5n, 3, 3));
  renewals.renewed(group, { replica: leader, term: 3 }, 6n);
  renewals.renewed(group, { replica: leader, term: 4 }, 5n);
  renewals.renewed(group, { replica: follower, term: 3 }, 5n);
  expect(renewals.violations).toEqual([]);
  renewals.renewed(group, { replica: leader, term: 3 }, 5n);
  expect(renewals.violations).toEqual(["replica 1 of group 1 renews lease 5 in term 3, after it proposed to revoke it"]);
});

it("what a client revokes may be renewed until that is applied", () => {
  const renewals = new Renewals();
  renewals.sent(group, revoke(5n, 3, 0));
  renewals.renewed(group, { replica: leader, term: 3 }, 5n);
  expect(renewals.violations).toEqual([]);
});
