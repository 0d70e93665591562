import type { KeyValue } from "../../machine/commands/index.ts";
import { decodeValue, encodeValue, json } from "../kv/codec.ts";
import type { AbortSignalLike } from "../signal.ts";
import type { CallOptions, Handle } from "../basics.ts";
import { acquire } from "./acquire.ts";
import type { ClaimsHost } from "./acquire.ts";
import { firstInLine, lineOf } from "./line.ts";
import { observeLine } from "./observe.ts";
import type { Claim, ClaimOptions, Party, PartyMember } from "./types.ts";

export function openParty(host: ClaimsHost, name: string): Party {
  return new PartyHandle(host, name);
}

const membersMax = 10_000;

function memberOf(entry: KeyValue): PartyMember {
  return { id: entry.lease.toString(), data: entry.value.length === 0 ? undefined : decodeValue(json, entry.value, entry.key) };
}

/** A line in which nobody waits for anybody: whoever stands in it is there. */
class PartyHandle implements Party {
  private readonly host: ClaimsHost;
  private readonly name: string;
  private readonly line: string;

  constructor(host: ClaimsHost, name: string) {
    this.host = host;
    this.name = name;
    this.line = lineOf(name);
  }

  async join(data?: unknown, options: CallOptions & { readonly ttl?: ClaimOptions["ttl"] } = {}): Promise<Claim & Handle> {
    const value = data === undefined ? new Uint8Array(0) : encodeValue(json, data);
    const timeout = options.timeout ?? this.host.space.client.timeoutMs;
    return acquire(this.host, this.name, this.line, { value, alone: false, allowed: 0, blocks: () => false }, { ...options, timeout });
  }

  async members(options?: CallOptions): Promise<readonly PartyMember[]> {
    return (await firstInLine(this.host.space, this.line, membersMax, options)).entries.map(memberOf);
  }

  async *observe(options: { readonly signal?: AbortSignalLike | undefined } = {}): AsyncIterableIterator<readonly PartyMember[]> {
    for await (const entries of observeLine(this.host.space, this.line, membersMax, options.signal)) yield entries.map(memberOf);
  }
}
