import { describe, expect, it } from "vitest";
import { Partials } from "./partial.ts";

describe("requests that are not whole", () => {
  it("take a bounded amount together: who waited longest for more goes first", () => {
    const partials = new Partials(100);
    const gone: string[] = [];
    const request = (name: string): { giveUp(): void } => ({ giveUp: () => gone.push(name) });
    const [a, b, c] = [request("a"), request("b"), request("c")];
    partials.note(a, 40);
    partials.note(b, 40);
    partials.note(a, 50);
    partials.note(c, 30);
    expect([gone, partials.bytes]).toEqual([["b"], 80]);
    partials.note(a, 0);
    partials.note(c, 100);
    expect([gone, partials.bytes]).toEqual([["b"], 100]);
    partials.note(c, 101);
    expect([gone, partials.bytes]).toEqual([["b", "c"], 0]);
  });
});
