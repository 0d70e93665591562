import { UnumError, emptyBytes, utf8Encode } from "../../base/index.ts";
import type { KeyValue } from "../../machine/commands/index.ts";
import type { CallOptions, Handle } from "../basics.ts";
import { acquire, tryAcquire } from "./acquire.ts";
import type { ClaimsHost, Rule } from "./acquire.ts";
import type { HeldClaim } from "./claim.ts";
import { lineOf } from "./line.ts";
import type { Claim, ClaimOptions, Lock, Semaphore } from "./types.ts";

/** What a reader's place says of itself. Every other value is a holder that excludes all. */
const sharedMark = "shared";
const sharedValue = utf8Encode(sharedMark);

const exclusiveRule: Rule = { value: emptyBytes, alone: true, allowed: 0, blocks: () => true };
const sharedRule: Rule = { value: sharedValue, alone: false, allowed: 0, blocks: (entry) => !isShared(entry) };

function isShared({ value }: KeyValue): boolean {
  return value.length === sharedValue.length && value.every((byte, at) => byte === sharedValue[at]);
}

export function openLock(host: ClaimsHost, name: string): Lock {
  const line = lineOf(name);
  return new LockHandle(host, name, line, exclusiveRule, new LockHandle(host, name, line, sharedRule, undefined));
}

/** INVALID_ARGUMENT for a number of permits that is none. */
export function openSemaphore(host: ClaimsHost, name: string, permits: number): Semaphore {
  if (!Number.isSafeInteger(permits) || permits < 1 || permits > permitsMax)
    throw new UnumError("INVALID_ARGUMENT", `permits is a whole number from 1 to ${permitsMax}, not ${String(permits)}.`);
  const rule = { value: utf8Encode(`permits ${permits}`), alone: permits === 1, allowed: permits - 1, blocks: () => true };
  return new LockHandle(host, name, lineOf(name), rule, undefined);
}

const permitsMax = 1_000;

class LockHandle implements Lock, Semaphore {
  private readonly host: ClaimsHost;
  private readonly name: string;
  private readonly line: string;
  private readonly rule: Rule;
  private readonly readers: Lock | undefined;

  constructor(host: ClaimsHost, name: string, line: string, rule: Rule, readers: Lock | undefined) {
    this.host = host;
    this.name = name;
    this.line = line;
    this.rule = rule;
    this.readers = readers;
  }

  get shared(): Lock {
    return this.readers ?? this;
  }

  acquire(options?: ClaimOptions): Promise<Claim & Handle> {
    return acquire(this.host, this.name, this.line, this.rule, options);
  }

  tryAcquire(options?: CallOptions & { readonly ttl?: ClaimOptions["ttl"] }): Promise<(Claim & Handle) | undefined> {
    return tryAcquire(this.host, this.name, this.line, this.rule, options);
  }

  async using<R>(work: (claim: Claim) => R | Promise<R>, options?: ClaimOptions): Promise<R> {
    const { scope } = this.host;
    // Within its own work the lock would wait for itself for ever.
    for (let held = scope?.current(); held !== undefined; held = held.outer) {
      if (held.line === this.line && held.claim.held)
        throw new UnumError(
          "REENTRANT",
          `"${this.name}" is held by the code that asks for it; pass its claim on instead of taking it again.`,
        );
    }
    const claim = await acquire(this.host, this.name, this.line, this.rule, options);
    try {
      const inner = { line: this.line, claim, outer: scope?.current() };
      const result = await (scope === undefined ? work(claim) : scope.run(inner, () => work(claim)));
      assertHeld(claim, undefined);
      return result;
    } catch (error) {
      assertHeld(claim, error);
      throw error;
    } finally {
      await claim.close();
    }
  }
}

/** Work that outlived its claim may have met a second holder: its caller must know, whatever the work believes. */
export function assertHeld(claim: HeldClaim, cause: unknown): void {
  if (claim.held || (cause as UnumError | undefined)?.code === "CLAIM_LOST") return;
  throw new UnumError(
    "CLAIM_LOST",
    `The claim "${claim.name}" ended before the work did; what it wrote without the fence may have met another holder's writes.`,
    { cause: cause ?? claim.signal.reason },
  );
}
