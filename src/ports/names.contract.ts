import { describe, expect, it } from "vitest";
import type { Names } from "./names.ts";

export interface NamesHarness {
  readonly names: Names;
  /** A name with at least one address, and one that nobody has. */
  readonly known: string;
  readonly unknown: string;
  settle<T>(promise: Promise<T>): Promise<T>;
}

/** What every resolver promises; see `names.ts`. */
export function namesContract(name: string, make: () => NamesHarness): void {
  describe(`${name} keeps the promises of a resolver`, () => {
    it("gives all addresses of a name, each once and in order, and the same again", async () => {
      const { known, names, settle } = make();
      const first = await settle(names.resolve(known));
      expect(first.length).toBeGreaterThan(0);
      expect([...new Set(first)].sort((a, b) => (a < b ? -1 : 1))).toEqual(first);
      expect(await settle(names.resolve(known))).toEqual(first);
    });

    it("a name that nobody has is no error: it has no addresses", async () => {
      const { names, settle, unknown } = make();
      expect(await settle(names.resolve(unknown))).toEqual([]);
    });

    it("an address is a name of itself", async () => {
      const { names, settle } = make();
      expect(await settle(names.resolve("192.0.2.7"))).toEqual(["192.0.2.7"]);
      expect(await settle(names.resolve("2001:db8::7"))).toEqual(["2001:db8::7"]);
    });
  });
}
