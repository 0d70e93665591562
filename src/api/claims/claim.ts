import { UnumError } from "../../base/index.ts";
import { makeAbortController } from "../signal.ts";
import type { AbortControllerLike, Signal } from "../signal.ts";
import type { Handle } from "../basics.ts";
import type { Seat } from "./seats.ts";
import type { Claim } from "./types.ts";

/** What a write needs of a claim: `fence` options are checked by this shape, so that two copies of the package understand each other. */
export interface ClaimMark {
  readonly keyspace: string;
  /** Byte string. */
  readonly key: string;
  readonly fence: number;
  /** Byte string: under this name other keyspaces remember the highest fence that acted there. */
  readonly line: string;
  /** False: several hold claims of the name at a time, so that a higher fence does not end a lower one. */
  readonly alone: boolean;
}

/**
 * Invariant: while `held`, nobody else can hold the claim (as long as this thread runs): the lease's own end, by this
 * machine's clocks less the drift bound, comes before its end in the cluster.
 */
export class HeldClaim implements Claim, Handle {
  readonly name: string;
  readonly fence: number;
  readonly mark: ClaimMark;
  readonly signal: Signal;
  private readonly seat: Seat;
  private readonly controller: AbortControllerLike;
  private readonly release: () => Promise<void>;
  private over = false;
  private closing: Promise<void> | undefined;

  constructor(name: string, mark: ClaimMark, seat: Seat, release: () => Promise<void>) {
    this.name = name;
    this.mark = mark;
    this.fence = mark.fence;
    this.seat = seat;
    this.release = release;
    this.controller = makeAbortController();
    this.signal = this.controller.signal;
    const { signal } = seat;
    if (signal.aborted) this.lose();
    else signal.addEventListener("abort", this.onLost);
  }

  get held(): boolean {
    // Asking the lease looks at the clocks: after a stall its timers may not have run yet.
    if (!this.over && !this.seat.lease.held) this.lose();
    return !this.over;
  }

  throwIfLost(): void {
    if (!this.held) throw this.signal.reason;
  }

  /** Gives the claim up. Fulfils when the cluster knows, or when nobody can be told: then it passes on with the lease. */
  close(): Promise<void> {
    this.end(new UnumError("CLAIM_LOST", `The claim "${this.name}" was given up.`));
    this.closing ??= this.release();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private readonly onLost = (): void => this.lose();

  private lose(): void {
    const reason = this.seat.signal.reason;
    this.end(
      new UnumError("SESSION_LOST", `The claim "${this.name}" is held no longer: its session was not renewed in time.`, { cause: reason }),
    );
  }

  private end(reason: UnumError): void {
    if (this.over) return;
    this.over = true;
    this.seat.signal.removeEventListener("abort", this.onLost);
    this.controller.abort(reason);
  }
}

/** What a write needs of the claim in a `fence` option. INVALID_ARGUMENT for what is none. */
export function markOf(claim: unknown): ClaimMark {
  const mark = (claim as { readonly mark?: Partial<ClaimMark> | null } | null | undefined)?.mark;
  if (
    typeof mark !== "object" ||
    mark === null ||
    typeof mark.key !== "string" ||
    typeof mark.keyspace !== "string" ||
    typeof mark.fence !== "number" ||
    typeof mark.line !== "string" ||
    typeof mark.alone !== "boolean"
  ) {
    throw new UnumError("INVALID_ARGUMENT", "fence takes the claim that a lock, semaphore or election gave.");
  }
  return mark as ClaimMark;
}
