import type { NodeId, UnumError } from "../../base/index.ts";
import type { Command, Query, WatchChange } from "../../machine/commands/index.ts";
import type { CallOptions, ReadOptions, UnumHandle } from "../types.ts";

/**
 * What gateways use: keys and values as bytes, lease ids as 64-bit numbers, revisions of every answer.
 * It follows the machine's own commands, so it is no part of the public surface.
 */
export interface RawHandle extends UnumHandle {
  /** A keyspace in the machine's own words. Made on its first use. */
  raw(keyspace: string): RawKeyspace;
}

/** Turns the bytes of the machine's reply into the answer, or throws its refusal (`takeResult`). The bytes are valid only during the call. */
export type TakeReply<T> = (reply: Uint8Array) => T;

export interface RawKeyspace {
  readonly name: string;
  /** The highest revision that any answer has named. */
  readonly revision: number;
  /** Who leads, as the nearest node last told. `term` 0: never heard of one. */
  readonly leader: { readonly node: NodeId | undefined; readonly term: number };
  /** Calls back after each change of `leader` until the returned function is called. */
  onLeader(callback: () => void): () => void;
  /** Applied exactly once, however often it must be sent. */
  command<T>(command: Command, take: TakeReply<T>, options?: CallOptions): Promise<T>;
  /** Linearizable unless the options say "stale". */
  query<T>(query: Query, take: TakeReply<T>, options?: ReadOptions): Promise<T>;
  /** Milliseconds of full time that the lease has now. LEASE_NOT_FOUND. */
  keepAlive(lease: bigint, options?: CallOptions): Promise<number>;
  watch(request: RawWatchRequest, owner: RawWatchOwner): RawWatch;
}

export interface RawWatchRequest {
  readonly key: string;
  readonly end: string;
  /** The first revision wanted; 0: the next one. */
  readonly from: number;
  /** With each event, the entry as it was before. */
  readonly previous: boolean;
}

/** Nothing is called after `ended`, which comes at most once and not after `close`. */
export interface RawWatchOwner {
  /** The first revision that is seen; once. */
  began(revision: number): void;
  /** One revision. Byte strings are valid only during the call. `bytes` go back by `consumed`. */
  changed(change: WatchChange, bytes: number): void;
  /** Everything up to this revision has been told. */
  progressed(revision: number): void;
  /** Whether a node is serving it. */
  live(live: boolean): void;
  /** `error` undefined: the handle was closed. */
  ended(error: UnumError | undefined): void;
}

/** A watch over all the streams that serve it one after the other: nothing is lost, repeated or reordered. */
export interface RawWatch {
  /** So many bytes of `changed` are done with: as many more may come. */
  consumed(bytes: number): void;
  /** Asks the node for `progressed`, behind every change up to then. */
  askProgress(): void;
  close(): void;
}
