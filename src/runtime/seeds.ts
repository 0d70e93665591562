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

/** The addresses of each family: under one name a node often has one of each, of which it may listen on only one. */
function families(addresses: readonly string[]): readonly (readonly string[])[] {
  const second = addresses.filter((address) => address.startsWith("["));
  return [addresses.filter((address) => !address.startsWith("[")), second];
}

/** How many nodes the addresses may stand for. */
export function nodesBehind(addresses: readonly string[]): number {
  return Math.max(...families(addresses).map((family) => family.length));
}

/** Of the family that stands for the most nodes, whoever did not answer; empty when all of them did. */
export function silentAmong(addresses: readonly string[], answered: ReadonlySet<string>): readonly string[] {
  const count = nodesBehind(addresses);
  const silent = families(addresses)
    .filter((family) => family.length === count)
    .map((family) => family.filter((address) => !answered.has(address)));
  return silent.reduce((least, next) => (next.length < least.length ? next : least));
}
