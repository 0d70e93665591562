import { lookup } from "node:dns/promises";
import { StreamError } from "../../ports/index.ts";
import type { Names } from "../../ports/index.ts";

/** Codes that mean "no such name" or "no address"; all others mean that nobody could say. */
const noneCodes: readonly string[] = ["ENOTFOUND", "ENODATA"];

/**
 * The system's resolver, so that the hosts file and search domains count (a bare service name in Kubernetes or Compose). It
 * takes one slot of libuv's pool while it asks; whoever calls it asks for one name at a time.
 */
export class NodeNames implements Names {
  async resolve(name: string): Promise<readonly string[]> {
    try {
      const found = await lookup(name, { all: true, verbatim: true });
      return [...new Set(found.map(({ address }) => address))].sort((a, b) => (a < b ? -1 : 1));
    } catch (error) {
      const { code = "", message } = error as NodeJS.ErrnoException;
      if (noneCodes.includes(code)) return [];
      throw new StreamError("unreachable", `${name} could not be resolved: ${message}`, { cause: error });
    }
  }
}
