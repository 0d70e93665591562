import type { Command, Query, Reply, WatchChange, WatchRequest } from "../machine/commands/index.ts";

/**
 * An engine that somebody else runs, in the words of the machine: what a node does with commands, queries and watches, done by asking it.
 *
 * A reply is what the engine said, its refusals included: the caller hears of them as they are. A promise that rejects with a `UnumError`
 * says that it said nothing: with outcome "not-applied" nothing was sent, and the handle asks again within the call's time. What may have
 * been applied is a reply UNKNOWN_OUTCOME, since an engine knows no sessions of ours and would apply a copy once more.
 */
export interface Engine {
  /** For people: which engine, and where. */
  readonly name: string;
  command(command: Command, call: EngineCall): Promise<Reply>;
  query(query: Query, reading: Reading, call: EngineCall): Promise<Reply>;
  /** Milliseconds of full time that the lease has now. Rejects with LEASE_NOT_FOUND. */
  keepAlive(lease: bigint, call: EngineCall): Promise<number>;
  watch(request: WatchRequest, sink: WatchSink): EngineWatch;
  /** Ends its connections; what is in flight rejects. */
  close(): Promise<void>;
}

export interface Reading {
  /** May be answered by what is at hand, though not from before `revision`. */
  readonly stale: boolean;
  readonly revision: number;
}

/** How long an answer is wanted, and whether still. */
export interface EngineCall {
  /** By the handle's clock. */
  readonly deadlineMs: number;
  /** Nobody waits for the answer any more. */
  readonly cancelled: boolean;
  /** Calls back once when that becomes so. */
  onCancel(callback: () => void): void;
}

/** Nothing is called after `ended`, or after the watch was cancelled; nothing from within a call of the watch. */
export interface WatchSink {
  /** A change without events: everything up to its revision has been told. The first call of all says where the watch begins. */
  changed(change: WatchChange): void;
  /** A refusal for good (COMPACTED …), or undefined: the watch can be asked for again from where it was. */
  ended(refusal: Extract<Reply, { readonly ok: false }> | undefined): void;
}

export interface EngineWatch {
  /** Stops and resumes `changed`: what has come already may still be told. */
  pause(): void;
  resume(): void;
  /** Wants to be told how far the watch is. */
  askProgress(): void;
  cancel(): void;
}
