import { base64Decode, base64Encode, limits, utf8Decode, utf8Encode } from "../../../base/index.ts";
import type { Clock, Digests, Random } from "../../../ports/index.ts";
import { isEqualSlowly, macOf } from "./mac.ts";
import type { AuthState } from "./state.ts";

/** A token that was good when it was last shown. */
interface Seen {
  readonly user: string;
  readonly since: number;
  readonly secret: string;
  /** Monotonic milliseconds. */
  untilMs: number;
}

const nonceBytes = 8;

/**
 * What a user shows instead of a password. A token says its user and when it ends, and is signed with the secret of the record: every member can check
 * it, and none has to be told. Like etcd's, it ends when it was not shown to a member for the time to live; each member remembers for itself when that was.
 */
export class Tokens {
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly digests: Digests;
  private readonly ttlMs: number;
  private readonly seen = new Map<string, Seen>();

  constructor(ports: { readonly clock: Clock; readonly random: Random; readonly digests: Digests }, ttlMs: number) {
    this.clock = ports.clock;
    this.random = ports.random;
    this.digests = ports.digests;
    this.ttlMs = ttlMs;
  }

  /** For a user of this state. */
  issue(state: AuthState, user: string): string {
    const nonce = base64Encode(this.random.bytes(nonceBytes));
    const since = state.users.get(user)?.since ?? 0;
    const claim = utf8Encode(JSON.stringify([user, since, Math.ceil(this.clock.wall() + this.ttlMs), nonce]));
    return `${base64Encode(claim)}.${base64Encode(this.sign(state, claim))}`;
  }

  /** Whose token this is; undefined: it is none, or has ended. */
  userOf(state: AuthState, token: string): string | undefined {
    const seen = this.recall(token) ?? this.verify(state, token);
    if (seen === undefined || seen.secret !== state.secret || state.users.get(seen.user)?.since !== seen.since) return undefined;
    this.remember(token, seen);
    return seen.user;
  }

  private recall(token: string): Seen | undefined {
    const seen = this.seen.get(token);
    if (seen === undefined) return undefined;
    this.seen.delete(token);
    return seen.untilMs > this.clock.now() ? seen : undefined;
  }

  private remember(token: string, seen: Seen): void {
    seen.untilMs = this.clock.now() + this.ttlMs;
    this.seen.set(token, seen);
    if (this.seen.size <= limits.etcdTokensMax) return;
    for (const oldest of this.seen.keys()) {
      this.seen.delete(oldest);
      return;
    }
  }

  private verify(state: AuthState, token: string): Seen | undefined {
    const [claim, signature] = partsOf(token);
    if (claim === undefined || signature === undefined || !isEqualSlowly(this.sign(state, claim), signature)) return undefined;
    // What we signed is as we made it.
    const [user, since, endMs] = JSON.parse(utf8Decode(claim)) as [string, number, number];
    return endMs > this.clock.wall() ? { user, since, secret: state.secret, untilMs: 0 } : undefined;
  }

  private sign(state: AuthState, claim: Uint8Array): Uint8Array {
    return macOf(this.digests, base64Decode(state.secret), claim);
  }
}

function partsOf(token: string): readonly (Uint8Array | undefined)[] {
  const parts = token.split(".");
  return parts.length === 2 ? parts.map(decoded) : [];
}

/** Undefined: no base64, so no token of ours. */
function decoded(text: string): Uint8Array | undefined {
  return /^[A-Za-z0-9+/]*={0,2}$/.test(text) && text.length % 4 === 0 ? base64Decode(text) : undefined;
}
