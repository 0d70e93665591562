import { expect, it } from "vitest";
import { isCurrent } from "./proto.ts";

it("the generated messages of the etcd gateway belong to its interface definitions", () => {
  expect(isCurrent()).toBe(true);
});
