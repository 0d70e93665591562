import { expect, it } from "vitest";
import type { NodeId } from "../base/index.ts";
import { Acquaintances } from "./acquaintances.ts";
import { Directory } from "./directory.ts";

it("a new member that knows only what it was told knows who leaves, and whose name its successor has (campaign of e26c757, dense 1263)", () => {
  const card = { address: "n3:7400", zone: "", incarnation: "", ephemeral: false, featureLevel: 1, name: "n3" };
  const [old, successor] = ["00000000000000a1", "00000000000000b2"] as [NodeId, NodeId];
  const members = [old, successor].map((node) => ({ ...card, node }));
  const bootstrap = { initialVoters: [1], replicas: [], members, replica: 1 };
  const told = new Directory({ ...bootstrap, leaving: [old] }, () => undefined, new Acquaintances());
  expect([old, successor].map((node) => told.isLeaving(node))).toEqual([true, false]);
  expect(told.find("n3")?.node).toBe(successor);
  // What an older build wrote says nothing of it.
  expect(new Directory(bootstrap, () => undefined, new Acquaintances()).isLeaving(old)).toBe(false);
});
