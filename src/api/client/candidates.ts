import type { NodeId, Prng, UnumError } from "../../base/index.ts";

/** An address that may be dialled, and how that went so far. */
export interface Candidate {
  readonly endpoint: string;
  /** The caller named it: it is never forgotten. */
  readonly configured: boolean;
  /** The member known to live there. */
  node: NodeId | undefined;
  /** `connected`: up to and including the greeting; then `node` is known. */
  state: "idle" | "dialling" | "connected";
  sinceMs: number;
  failures: number;
  /** Not dialled again before. */
  nextTryMs: number;
  /** The node refused for good: another cluster, another protocol. */
  refusal: UnumError | undefined;
}

const retryMsFirst = 50;
const retryMsMax = 500;

/**
 * All addresses that the handle knows: those that it was given, and those of the members.
 */
export class Candidates {
  private readonly all = new Map<string, Candidate>();
  private readonly prng: Prng;

  constructor(endpoints: readonly string[], prng: Prng) {
    this.prng = prng;
    for (const endpoint of prng.shuffle([...new Set(endpoints)])) this.add(endpoint, true, undefined);
  }

  get(endpoint: string): Candidate | undefined {
    return this.all.get(endpoint);
  }

  values(): Iterable<Candidate> {
    return this.all.values();
  }

  /** The members as they are now: others go, except those that the caller named. */
  setMembers(members: readonly { readonly node: NodeId; readonly address: string }[]): void {
    const addresses = new Map<string, NodeId>();
    for (const member of members) if (member.address !== "") addresses.set(member.address, member.node);
    for (const candidate of [...this.all.values()]) {
      if (candidate.configured || addresses.has(candidate.endpoint) || candidate.state !== "idle") continue;
      this.all.delete(candidate.endpoint);
    }
    for (const [address, node] of addresses) {
      const known = this.all.get(address);
      if (known === undefined) this.add(address, false, node);
      else known.node = node;
    }
  }

  /** A leader's address, told before the list of members is. */
  addMember(address: string, node: NodeId): Candidate {
    return this.all.get(address) ?? this.add(address, false, node);
  }

  failed(candidate: Candidate, nowMs: number, refusal: UnumError | undefined): void {
    candidate.state = "idle";
    candidate.failures++;
    candidate.refusal = refusal;
    const full = Math.min(retryMsMax, retryMsFirst * 2 ** Math.min(8, candidate.failures - 1));
    candidate.nextTryMs = nowMs + full / 2 + (full / 2) * (this.prng.below(1024) / 1024);
  }

  connected(candidate: Candidate, node: NodeId | undefined, nowMs: number): void {
    candidate.state = "connected";
    candidate.node = node;
    candidate.sinceMs = nowMs;
    candidate.refusal = undefined;
  }

  /** A connection that lasted is opened again at once; one that did not counts as another failure. */
  lost(candidate: Candidate, nowMs: number): void {
    if (nowMs - candidate.sinceMs < retryMsFirst) return this.failed(candidate, nowMs, undefined);
    candidate.state = "idle";
    candidate.failures = 0;
    candidate.nextTryMs = nowMs;
  }

  /** Somebody waits: what has been tried long ago is worth trying now. */
  hurry(nowMs: number): void {
    for (const candidate of this.all.values()) candidate.nextTryMs = Math.min(candidate.nextTryMs, nowMs + retryMsFirst * 4);
  }

  /** Every address has refused for good; one of the refusals. */
  refusedByAll(): UnumError | undefined {
    let refusal: UnumError | undefined;
    for (const candidate of this.all.values()) {
      if (candidate.refusal === undefined) return undefined;
      refusal = candidate.refusal;
    }
    return refusal;
  }

  private add(endpoint: string, configured: boolean, node: NodeId | undefined): Candidate {
    const candidate: Candidate = {
      endpoint,
      configured,
      node,
      state: "idle",
      sinceMs: 0,
      failures: 0,
      nextTryMs: 0,
      refusal: undefined,
    };
    this.all.set(endpoint, candidate);
    return candidate;
  }
}
