import { UnumError, isUnumError } from "../../base/index.ts";
import type { KeyValue } from "../../machine/commands/index.ts";
import { sleep } from "../client/sleep.ts";
import { decodeValue, encodeValue, json } from "../kv/codec.ts";
import { makeAbortController } from "../signal.ts";
import type { AbortSignalLike } from "../signal.ts";
import type { CallOptions, Running } from "../basics.ts";
import { acquire, firstOf } from "./acquire.ts";
import type { ClaimsHost, Rule } from "./acquire.ts";
import type { ClaimMark, HeldClaim } from "./claim.ts";
import { firstInLine, lineOf } from "./line.ts";
import { observeLine } from "./observe.ts";
import type { Claim, Election, ElectionOptions, Leader } from "./types.ts";

const pauseMsMin = 1_000;
const pauseMsMax = 60_000;

export function openElection(host: ClaimsHost, name: string): Election {
  return new ElectionHandle(host, name);
}

function leaderOf(entry: KeyValue | undefined): Leader | undefined {
  if (entry === undefined) return undefined;
  // A candidate through etcd's API says what it likes.
  const data = entry.value.length === 0 ? undefined : decodeValue(json, entry.value, entry.key);
  return { fence: entry.createRevision, data };
}

class ElectionHandle implements Election {
  private readonly host: ClaimsHost;
  private readonly name: string;
  private readonly line: string;

  constructor(host: ClaimsHost, name: string) {
    this.host = host;
    this.name = name;
    this.line = lineOf(name);
  }

  run(work: (claim: Claim) => void | Promise<void>, options: ElectionOptions = {}): Running {
    return new Participation(this.host, this.name, this.line, work, options);
  }

  async leader(options?: CallOptions): Promise<Leader | undefined> {
    const { entries } = await firstInLine(this.host.space, this.line, 1, options);
    return leaderOf(entries[0]);
  }

  async *observe(options: { readonly signal?: AbortSignalLike | undefined } = {}): AsyncIterableIterator<Leader | undefined> {
    let last: number | undefined;
    let said = false;
    for await (const entries of observeLine(this.host.space, this.line, 1, options.signal)) {
      const leader = leaderOf(entries[0]);
      if (said && leader?.fence === last) continue;
      said = true;
      last = leader?.fence;
      yield leader;
    }
  }
}

/** One participant: stands in line, leads while it is its turn, and stands again. */
class Participation implements Running {
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  private readonly host: ClaimsHost;
  private readonly name: string;
  private readonly line: string;
  private readonly work: (claim: Claim) => void | Promise<void>;
  private readonly options: ElectionOptions;
  private readonly stop = makeAbortController();
  private pauseMs = pauseMsMin;
  private stands: () => void = () => undefined;
  private failed: (error: unknown) => void = () => undefined;

  constructor(host: ClaimsHost, name: string, line: string, work: (claim: Claim) => void | Promise<void>, options: ElectionOptions) {
    this.host = host;
    this.name = name;
    this.line = line;
    this.work = work;
    this.options = options;
    const rule: Rule = {
      value: options.data === undefined ? new Uint8Array(0) : encodeValue(json, options.data),
      alone: true,
      allowed: 0,
      blocks: () => true,
    };
    this.ready = new Promise((resolve, reject) => {
      this.stands = resolve;
      this.failed = reject;
    });
    this.ready.catch(() => undefined);
    this.closed = this.live(rule);
    this.closed.catch(() => undefined);
  }

  close(): Promise<void> {
    this.stop.abort(new UnumError("CLOSED", `The participation in "${this.name}" was closed.`));
    return this.closed.catch(() => undefined);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async live(rule: Rule): Promise<void> {
    const { signal } = this.options;
    const ended = signal === undefined ? firstOf(this.stop.signal) : firstOf(this.stop.signal, signal);
    try {
      while (!ended.signal.aborted) await this.round(rule, ended.signal);
    } catch (error) {
      if (!ended.signal.aborted) {
        this.failed(error);
        throw error;
      }
    } finally {
      ended.end();
      this.stands();
    }
  }

  /** Once in line and, when its turn comes, once in the lead. Rejects when the handle has ended. */
  private async round(rule: Rule, ended: AbortSignalLike): Promise<void> {
    const { client } = this.host.space;
    try {
      const { ttl } = this.options;
      const claim = await acquire({ ...this.host, entered: () => this.stands() }, this.name, this.line, rule, { signal: ended, ttl });
      try {
        // Closing tells the work first; the claim is given up when it has ended.
        await this.lead(claim, ended);
      } finally {
        await claim.close();
      }
    } catch (error) {
      if (ended.aborted) return;
      if (client.ended !== undefined || isUnumError(error, "INVALID_ARGUMENT", "INVALID_KEY", "INVALID_VALUE")) throw error;
      this.report(error);
      await this.rest(ended);
    }
  }

  private async lead(claim: HeldClaim, ended: AbortSignalLike): Promise<void> {
    const told = new LedClaim(claim, ended);
    try {
      await this.work(told);
      this.pauseMs = pauseMsMin;
    } catch (error) {
      // Work that was told to end may say so by rejecting.
      if (ended.aborted) return;
      if (claim.held) this.report(error);
      else this.host.space.client.environment.logger.debug("work ended with its claim", { name: this.name, error: String(error) });
      if (!claim.held) return;
      await claim.close();
      await this.rest(ended);
      this.pauseMs = Math.min(2 * this.pauseMs, pauseMsMax);
      return;
    } finally {
      told.end();
    }
    if (ended.aborted || !claim.held) return;
    // Others get their turn before this one stands again.
    await claim.close();
    await sleep(this.host.space.client.clock, pauseMsMin, ended).catch(() => undefined);
  }

  private async rest(ended: AbortSignalLike): Promise<void> {
    await sleep(this.host.space.client.clock, this.pauseMs, ended).catch(() => undefined);
  }

  private report(error: unknown): void {
    if (this.options.onError === undefined) {
      this.host.space.client.environment.logger.warn("an election's work failed", { name: this.name, error: String(error) });
      return;
    }
    try {
      this.options.onError(error);
    } catch (thrown) {
      this.host.space.client.environment.logger.warn("onError of an election threw", { name: this.name, error: String(thrown) });
    }
  }
}

/** The claim as the work sees it: its signal aborts when the participation ends, too, while the claim is still held. */
class LedClaim implements Claim {
  readonly name: string;
  readonly fence: number;
  readonly signal: Claim["signal"];
  readonly mark: ClaimMark;
  private readonly claim: Claim;
  readonly end: () => void;

  constructor(claim: HeldClaim, ended: AbortSignalLike) {
    this.claim = claim;
    this.name = claim.name;
    this.fence = claim.fence;
    this.mark = claim.mark;
    const either = firstOf(claim.signal as AbortSignalLike, ended);
    this.signal = either.signal as Claim["signal"];
    this.end = either.end;
  }

  get held(): boolean {
    return this.claim.held;
  }

  throwIfLost(): void {
    this.claim.throwIfLost();
  }
}
