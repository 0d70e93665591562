import type { UnumError } from "../base/index.ts";
import type { ReadWaiter } from "./types.ts";

interface Round {
  readonly index: number;
  readonly waiters: readonly ReadWaiter[];
}

/**
 * Linearizable reads: those of a turn share one ReadIndex context, and run once the index that the
 * quorum confirmed is applied. A context is never used twice, so that a late answer of an earlier
 * round cannot confirm a later one.
 */
export class Reads {
  private gathered: ReadWaiter[] = [];
  private readonly asked = new Map<number, readonly ReadWaiter[]>();
  /** Confirmed and not yet applied, in ascending order of index. */
  private confirmed: Round[] = [];
  private lastContext = 0;
  private readonly tell: (said: "readsAsked" | "readsConfirmed", context: number) => void;

  constructor(tell: (said: "readsAsked" | "readsConfirmed", context: number) => void) {
    this.tell = tell;
  }

  add(waiter: ReadWaiter): void {
    this.gathered.push(waiter);
  }

  /** Asks for everything that gathered, in one context. `ask` says whether raft took it. */
  ask(ask: (context: number) => boolean, refusal: () => UnumError): void {
    if (this.gathered.length === 0) return;
    const waiters = this.gathered;
    this.gathered = [];
    const context = ++this.lastContext;
    if (!ask(context)) return failReads(waiters, refusal);
    this.asked.set(context, waiters);
    this.tell("readsAsked", context);
  }

  confirm(context: number, index: number, applied: number): void {
    const waiters = this.asked.get(context);
    if (waiters === undefined) return;
    this.asked.delete(context);
    this.tell("readsConfirmed", context);
    if (index <= applied) for (const waiter of waiters) waiter.run();
    else {
      let at = this.confirmed.length;
      while (at > 0 && (this.confirmed[at - 1] as Round).index > index) at--;
      this.confirmed.splice(at, 0, { index, waiters });
    }
  }

  drop(context: number, makeError: () => UnumError): void {
    const waiters = this.asked.get(context);
    this.asked.delete(context);
    if (waiters !== undefined) failReads(waiters, makeError);
  }

  applied(index: number): void {
    if (this.confirmed.length === 0) return;
    let done = 0;
    while (done < this.confirmed.length && (this.confirmed[done] as Round).index <= index) done++;
    if (done === 0) return;
    for (const round of this.confirmed.splice(0, done)) for (const waiter of round.waiters) waiter.run();
  }

  failAll(makeError: () => UnumError): void {
    const all = [this.gathered, ...this.asked.values(), ...this.confirmed.map((round) => round.waiters)];
    this.gathered = [];
    this.asked.clear();
    this.confirmed = [];
    for (const waiters of all) failReads(waiters, makeError);
  }
}

function failReads(waiters: readonly ReadWaiter[], makeError: () => UnumError): void {
  if (waiters.length === 0) return;
  const error = makeError();
  for (const waiter of waiters) waiter.fail(error);
}
