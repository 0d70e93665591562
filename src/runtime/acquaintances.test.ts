import { describe, expect, it } from "vitest";
import type { GroupId, NodeId, ReplicaId } from "../base/index.ts";
import { Acquaintances } from "./acquaintances.ts";

const node = "n1" as NodeId;

describe("what nodes say of themselves", () => {
  it("goes before the older record of a node that has moved", () => {
    const acquaintances = new Acquaintances();
    expect(acquaintances.met(node, "new:1", "old:1")).toBe(true);
    expect(acquaintances.met(node, "new:1", "old:1")).toBe(false);
    expect(acquaintances.addressOf(node, "old:1")).toBe("new:1");
  });

  it("yields to a record that changed afterwards, so that an old greeting never hides a newer agreement", () => {
    const acquaintances = new Acquaintances();
    acquaintances.met(node, "new:1", "old:1");
    expect(acquaintances.addressOf(node, "agreed:1")).toBe("agreed:1");
  });

  it("is forgotten when a node says again what is recorded", () => {
    const acquaintances = new Acquaintances();
    acquaintances.met(node, "new:1", "old:1");
    expect(acquaintances.met(node, "old:1", "old:1")).toBe(true);
    expect(acquaintances.addressOf(node, "old:1")).toBe("old:1");
  });

  it("keeps the address of a node that no record here names, and forgets the oldest beyond its limit", () => {
    const acquaintances = new Acquaintances();
    for (let i = 0; i <= 1_000; i++) acquaintances.met(`s${i}` as NodeId, `host:${i}`, undefined);
    const known = new Map(acquaintances.strangers());
    expect(known.size).toBe(1_000);
    expect(known.has("s0" as NodeId)).toBe(false);
    expect(known.get("s1000" as NodeId)).toBe("host:1000");
  });

  it("ignores a greeting without an address: that node cannot be dialled", () => {
    expect(new Acquaintances().met(node, "", undefined)).toBe(false);
  });

  it("names who holds a replica that the records do not know", () => {
    const acquaintances = new Acquaintances();
    acquaintances.heard(1 as GroupId, 5 as ReplicaId, node);
    expect(acquaintances.holderOf(1 as GroupId, 5 as ReplicaId)).toBe(node);
    expect(acquaintances.holderOf(2 as GroupId, 5 as ReplicaId)).toBeUndefined();
  });
});
