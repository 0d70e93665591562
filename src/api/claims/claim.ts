import { UnumError } from "../../base/index.ts";
import { makeAbortController } from "../signal.ts";
import type { AbortControllerLike, Signal } from "../signal.ts";
import type { Handle } from "../basics.ts";
import type { Place } from "./line.ts";
import type { Seat } from "./seats.ts";
import type { Claim } from "./types.ts";

/** What a write needs of a claim: `fence` options are checked by this shape, so that two copies of the package understand each other. */
export interface ClaimMark {
  readonly keyspace: string;
  /** Byte string. */
  readonly key: string;
  readonly fence: number;
}

/**
 * Invariant: while `held`, nobody else can hold the claim (as long as this thread runs): the lease's own end, by this
 * machine's clocks less the drift bound, comes before its end in the cluster.
 */
export class HeldClaim implements Claim, Handle, ClaimMark {
  readonly name: string;
  readonly fence: number;
  readonly keyspace: string;
  readonly key: string;
  readonly signal: Signal;
  private readonly seat: Seat;
  private readonly controller: AbortControllerLike;
  private readonly release: () => Promise<void>;
  private over = false;
  private closing: Promise<void> | undefined;

  constructor(name: string, keyspace: string, place: Place, seat: Seat, release: () => Promise<void>) {
    this.name = name;
    this.keyspace = keyspace;
    this.key = place.key;
    this.fence = place.fence;
    this.seat = seat;
    this.release = release;
    this.controller = makeAbortController();
    this.signal = this.controller.signal;
    const { signal } = seat.lease;
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
    const reason = this.seat.lease.signal.reason;
    this.end(
      new UnumError("SESSION_LOST", `The claim "${this.name}" is held no longer: its session was not renewed in time.`, { cause: reason }),
    );
  }

  private end(reason: UnumError): void {
    if (this.over) return;
    this.over = true;
    this.seat.lease.signal.removeEventListener("abort", this.onLost);
    this.controller.abort(reason);
  }
}

/** The claim behind a `fence` option, for a write to `keyspace`. INVALID_ARGUMENT for what is none. */
export function markOf(claim: unknown, keyspace: string): ClaimMark {
  const given = claim as Partial<ClaimMark> | null | undefined;
  if (
    typeof given !== "object" ||
    given === null ||
    typeof given.key !== "string" ||
    typeof given.keyspace !== "string" ||
    typeof given.fence !== "number"
  ) {
    throw new UnumError("INVALID_ARGUMENT", "fence takes the claim that a lock, semaphore or election gave.");
  }
  if (given.keyspace !== keyspace) {
    throw new UnumError(
      "UNSUPPORTED",
      `This claim guards keyspace "${given.keyspace}"; a write to "${keyspace}" cannot be compared with it in one step. Write there in the guarded keyspace.`,
    );
  }
  return given as ClaimMark;
}
