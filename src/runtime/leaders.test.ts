import { expect, it } from "vitest";
import type { GroupId, NodeId } from "../base/index.ts";
import { Leaders } from "./leaders.ts";

const group = 1 as GroupId;
const [one, two] = ["1".repeat(32) as NodeId, "2".repeat(32) as NodeId];

it("a leader that is lost without a new term is told once, and once more when it is back: elections that are only probed raise no term", () => {
  const told: string[] = [];
  const leaders = new Leaders((_group, { node, term }) => void told.push(`${term} ${node === undefined ? "nobody" : node[0]}`));
  leaders.vacate(group);
  leaders.learn(group, 3, one);
  leaders.vacate(group);
  leaders.vacate(group);
  // What others still believe in the same term says nothing new of nobody, and routing keeps whom it knows.
  leaders.learn(group, 3, undefined);
  leaders.learn(group, 2, two);
  expect([leaders.get(group), leaders.isVacant(group)]).toEqual([one, true]);
  leaders.learn(group, 3, one);
  leaders.learn(group, 3, one);
  leaders.vacate(group);
  leaders.learn(group, 4, undefined);
  leaders.vacate(group);
  leaders.learn(group, 4, two);
  expect(told).toEqual(["3 1", "3 nobody", "3 1", "3 nobody", "4 nobody", "4 2"]);
  expect(leaders.isVacant(group)).toBe(false);
});
