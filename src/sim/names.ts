import { StreamError } from "../ports/index.ts";
import type { Names } from "../ports/index.ts";
import type { SimHost } from "./host.ts";

/** What the simulated DNS says: a name's addresses, or "silent" when no server answers. */
export type NameTable = Map<string, readonly string[] | "silent">;

const answerUs = 1_000;
const patienceUs = 5_000_000;

/** One host's resolver, over a table that a test may change at any time. */
export class SimNames implements Names {
  private readonly host: SimHost;
  private readonly table: NameTable;

  constructor(host: SimHost, table: NameTable) {
    this.host = host;
    this.table = table;
  }

  resolve(name: string): Promise<readonly string[]> {
    return new Promise((resolve, reject) => {
      const silent = this.table.get(name) === "silent";
      this.host.schedule(silent ? patienceUs : answerUs, `resolves ${name}`, () => {
        const found = this.table.get(name);
        if (silent || found === "silent") reject(new StreamError("unreachable", `no server answers for ${name}`));
        else if (found !== undefined) resolve([...new Set(found)].sort((a, b) => (a < b ? -1 : 1)));
        else resolve(isAddress(name) ? [name] : []);
      });
    });
  }
}

function isAddress(name: string): boolean {
  return /^\d+(\.\d+){3}$/.test(name) || name.includes(":");
}
