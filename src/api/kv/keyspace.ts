import { Reader, UnumError, Writer, isWellFormed, systemGroup } from "../../base/index.ts";
import type { GroupId } from "../../base/index.ts";
import { encodeGet, encodeQuery } from "../../machine/commands/index.ts";
import type { Command, Query } from "../../machine/commands/index.ts";
import { Method } from "../../wire/index.ts";
import type { Decode } from "../client/call.ts";
import type { Client } from "../client/client.ts";
import type { CallOptions, ReadOptions } from "../types.ts";

const nameCharactersMax = 128;

/**
 * One keyspace as this handle knows it: its group, once asked, and the highest revision seen there,
 * which stale reads name so that they never go back behind it.
 */
export class Keyspace {
  readonly client: Client;
  readonly name: string;
  /** Undefined until a node has been asked for it. */
  group: GroupId | undefined;
  private seen = 0;
  /** Queries are cut from its buffers. */
  private readonly writer = new Writer(1024);

  constructor(client: Client, name: string, group: GroupId | undefined) {
    if (typeof name !== "string" || name === "" || name.length > nameCharactersMax || !isWellFormed(name)) {
      throw new UnumError("INVALID_ARGUMENT", `A keyspace has a name of 1 to ${nameCharactersMax} characters.`);
    }
    this.client = client;
    this.name = name;
    this.group = group;
  }

  /** Asks for the group, which is created if it is new. */
  async resolve(options: CallOptions | undefined): Promise<GroupId> {
    if (this.group !== undefined) return this.group;
    const body = new Writer(64).u8(1).text(this.name).take();
    this.group = await this.client.call<GroupId>(
      {
        method: Method.keyspace,
        group: systemGroup,
        body,
        effect: false,
        repeat: true,
        decode: (answer) => new Reader(answer).u32() as GroupId,
      },
      options,
    );
    return this.group;
  }

  /** The highest revision seen. */
  get revision(): number {
    return this.seen;
  }

  note(revision: number): void {
    if (revision > this.seen) this.seen = revision;
  }

  /** Through the group's session: applied exactly once, however often it is sent. */
  command<T>(command: Command, decode: Decode<T>, options: CallOptions | undefined): Promise<T> {
    if (this.group === undefined) return this.resolve(options).then(() => this.command(command, decode, options));
    return this.client.call(
      { method: Method.propose, group: this.group, body: noBody, command, effect: true, repeat: true, decode },
      options,
    );
  }

  query<T>(query: Query, decode: Decode<T>, options: ReadOptions | undefined): Promise<T> {
    if (this.group === undefined) return this.resolve(options).then(() => this.query(query, decode, options));
    const stale = this.begin(options);
    encodeQuery(this.writer, query);
    return this.client.call(
      { method: Method.query, group: this.group, body: this.written(), stale, effect: false, repeat: true, decode },
      options,
    );
  }

  /** As `query`, for the newest state of one key. */
  get<T>(key: string, decode: Decode<T>, options: ReadOptions | undefined): Promise<T> {
    if (this.group === undefined) return this.resolve(options).then(() => this.get(key, decode, options));
    const stale = this.begin(options);
    encodeGet(this.writer, key);
    return this.client.call(
      { method: Method.query, group: this.group, body: this.written(), stale, effect: false, repeat: true, decode },
      options,
    );
  }

  /** The minimal revision stands before each query. Returns whether the read may be stale. */
  private begin(options: ReadOptions | undefined): boolean {
    const stale = options?.consistency === "stale";
    this.writer.reset();
    this.writer.u64(stale ? this.seen : 0);
    return stale;
  }

  private written(): Uint8Array {
    return this.writer.cut();
  }
}

const noBody = new Uint8Array(0);
