import { describe, expect, it } from "vitest";
import { Prng } from "../../base/index.ts";
import { History } from "../history.ts";
import type { Operation } from "../history.ts";
import { checkRegisters, drawIllegal } from "./index.ts";
import type { IllegalKey } from "./index.ts";

const put = (value: string): Operation => ({ kind: "put", key: "m0/1", value, ifRevision: undefined });
const get: Operation = { kind: "get", key: "m0/1", stale: false };

/** Some clients on one register; one read, late in the history, gets what had been written over. */
function staleHistory(operations: number, unknownOf = 3): IllegalKey {
  const prng = new Prng(4);
  const history = new History();
  let value: { readonly value: string; readonly revision: number } | undefined;
  let old: typeof value;
  for (let i = 0; i < operations; i++) {
    const client = `c${1 + (i % 3)}`;
    const begun = history.call(client, i < operations - 3 && prng.chance(1, 2) ? put(`${client}.${i}/0`) : get, i * 10);
    const beside = i % unknownOf === 0 ? history.call(`c${1 + ((i + 1) % 3)}`, put(`unknown.${i}/0`), i * 10 + 1) : undefined;
    if (beside !== undefined) history.failed(beside, "unknown", "TIMEOUT: <no answer> & none to come", i * 10 + 4);
    if (begun.operation.kind === "put") {
      old = value;
      value = { value: begun.operation.value, revision: i + 2 };
      history.ok(begun, { kind: "written", revision: i + 2, existed: true }, i * 10 + 6);
    } else {
      const seen = i > operations - 4 ? old : value;
      history.ok(begun, { kind: "entry", entry: seen === undefined ? undefined : { key: "m0/1", ...seen } }, i * 10 + 6);
    }
  }
  const { illegal } = checkRegisters(history);
  return illegal[0] as IllegalKey;
}

describe("the picture of an illegal history", () => {
  const found = staleHistory(24);
  const page = drawIllegal(found);

  it("needs nothing from elsewhere, runs nothing, and shows text as text", () => {
    expect(page).not.toMatch(/<script|src=|href="[^#]|https?:|@import|url\(/);
    expect(page).toContain("&#60;no answer&#62; &#38; none to come");
    expect(page).not.toContain("<no answer>");
  });

  it("draws every operation once: in the order, stuck, or open", () => {
    const boxes = page.match(/<g[^>]* class="(placed|stuck|open)/g) ?? [];
    expect(boxes).toHaveLength(found.calls.length);
    expect(page.match(/<g class="placed/g)).toHaveLength(found.longest.length);
    expect(page).toMatch(/<g id="stuck" class="stuck/);
    expect(page).toMatch(/<g class="[a-z]+ endless/);
  });

  it("says where the order ends and what cannot follow", () => {
    expect(page).toContain(`has ${found.longest.length} of ${found.calls.length}`);
    expect(page).toMatch(/none of these can come first<\/h2><ul><li><code>#\d+ c\d get m0\/1/);
  });

  it("draws no more of a long history than can be read, and the place where it fails", () => {
    const long = drawIllegal(staleHistory(300, 100));
    expect((long.match(/<g /g) ?? []).length).toBe(50);
    expect(long).toMatch(/<g id="stuck" class="stuck/);
    expect(long.length).toBeLessThan(100_000);
  });
});
