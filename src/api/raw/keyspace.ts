import { Writer } from "../../base/index.ts";
import { decodeReplyRevision } from "../../machine/commands/index.ts";
import type { Command, Query } from "../../machine/commands/index.ts";
import { Method } from "../../wire/index.ts";
import { readU64 } from "../client/connection.ts";
import { Subscription } from "../client/subscription.ts";
import type { Keyspace } from "../kv/keyspace.ts";
import type { CallOptions, ReadOptions } from "../types.ts";
import type { RawKeyspace, RawWatch, RawWatchOwner, RawWatchRequest, TakeReply } from "./types.ts";

/** The machine's own words over a handle's keyspace. */
export function openRaw(space: Keyspace): RawKeyspace {
  return new RawSpace(space);
}

class RawSpace implements RawKeyspace {
  readonly name: string;
  private readonly space: Keyspace;

  constructor(space: Keyspace) {
    this.space = space;
    this.name = space.name;
  }

  get revision(): number {
    return this.space.revision;
  }

  get leader(): RawKeyspace["leader"] {
    const { client, group } = this.space;
    return group === undefined ? { node: undefined, term: 0 } : client.leaderOf(group);
  }

  onLeader(callback: () => void): () => void {
    return this.space.client.onLeader((group) => {
      if (group === this.space.group) callback();
    });
  }

  command<T>(command: Command, take: TakeReply<T>, options?: CallOptions): Promise<T> {
    return this.space.command(command, (reply) => this.take(reply, take), options);
  }

  query<T>(query: Query, take: TakeReply<T>, options?: ReadOptions): Promise<T> {
    return this.space.query(query, (reply) => this.take(reply, take), options);
  }

  /** Every reply names a revision, a refusal's too. */
  private take<T>(reply: Uint8Array, take: TakeReply<T>): T {
    this.space.note(decodeReplyRevision(reply));
    return take(reply);
  }

  async keepAlive(lease: bigint, options?: CallOptions): Promise<number> {
    const group = await this.space.resolve(options);
    const body = new Writer(8).big64(lease).take();
    return this.space.client.call<number>(
      { method: Method.keepAlive, group, body, priority: "system", effect: false, repeat: true, decode: readU64 },
      options,
    );
  }

  watch(request: RawWatchRequest, owner: RawWatchOwner): RawWatch {
    const { key, end, from, previous } = request;
    return new Subscription(this.space, { key, end }, { from, previous }, owner);
  }
}
