import { limits } from "../base/index.ts";
import { formatAddress, parseAddress } from "../ports/index.ts";
import type { Clock, Names } from "../ports/index.ts";
import { isDnsSeed } from "./options.ts";
import { withTimeout } from "./timeout.ts";

const resolveTimeoutMs = 5_000;

/**
 * Where other nodes may be found: the addresses listed, or all those that one name ("dns:name:port") has now. The name is
 * asked again on each call. Rejects with TIMEOUT or the resolver's error.
 */
export async function seedAddresses(
  seeds: readonly string[],
  { clock, names }: { readonly clock: Clock; readonly names: Names },
): Promise<readonly string[]> {
  const [seed = ""] = seeds;
  const named = isDnsSeed(seed) ? parseAddress(seed.slice("dns:".length)) : undefined;
  if (named === undefined) return seeds;
  const hosts = await withTimeout(clock, names.resolve(named.host), resolveTimeoutMs, seed);
  return hosts.slice(0, limits.membersMax).map((host) => formatAddress({ host, port: named.port }));
}

/** How many nodes the addresses may stand for: under one name a node often has one of each family, of which it may listen on only one. */
export function nodesBehind(addresses: readonly string[]): number {
  const second = addresses.filter((address) => address.startsWith("[")).length;
  return Math.max(second, addresses.length - second);
}
