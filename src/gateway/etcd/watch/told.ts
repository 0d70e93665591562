import { create, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { WatchChange } from "../../../api/index.ts";
import { keyValueOf } from "../kv/results.ts";
import { Event_EventType, ResponseHeaderSchema, WatchResponseSchema, frameFor, framePrefixBytes } from "../../../etcd/index.ts";
import type { EventSchema } from "../../../etcd/index.ts";
import type { HeaderFields } from "../service.ts";

export type EventInit = MessageInitShape<typeof EventSchema>;

/** Which events a watch leaves out. */
export interface Filter {
  readonly noPut: boolean;
  readonly noDelete: boolean;
}

const headerTag = 0x0a;
const idTag = 0x10;

/**
 * One revision as it goes to any number of watches: its events are encoded once, and each watch's message
 * adds only its id.
 */
export class Told {
  readonly revision: number;
  readonly events: readonly EventInit[];
  readonly header: HeaderFields;
  private body: Uint8Array | undefined;
  /** By the length of the id. */
  private readonly frames: (Uint8Array | undefined)[] = [];
  private idAt = 0;

  constructor(change: WatchChange, { noPut, noDelete }: Filter, previous: boolean, header: HeaderFields) {
    this.revision = change.revision;
    this.header = header;
    const events: EventInit[] = [];
    for (const { kind, entry, previous: older } of change.events) {
      if (kind === "put" ? noPut : noDelete) continue;
      const type = kind === "put" ? Event_EventType.PUT : Event_EventType.DELETE;
      events.push({ type, kv: keyValueOf(entry), ...(previous && older !== undefined ? { prevKv: keyValueOf(older) } : {}) });
    }
    this.events = events;
  }

  /** Bytes of the events. */
  get bytes(): number {
    return this.encodedEvents().length;
  }

  /**
   * A whole frame for the watch with this id, as `encodedId` has it. Lent: it is the same for all ids of one length, and is another
   * watch's as soon as that one is asked for.
   */
  frameFor(id: Uint8Array): Uint8Array {
    const frame = this.frames[id.length] ?? this.makeFrame(id.length);
    const { idAt } = this;
    for (let i = 0; i < id.length; i++) frame[idAt + i] = id[i] as number;
    return frame;
  }

  private makeFrame(idBytes: number): Uint8Array {
    const head = toBinary(ResponseHeaderSchema, create(ResponseHeaderSchema, this.header));
    const body = this.encodedEvents();
    // The header's length takes one byte: it has four numbers.
    const frame = frameFor(2 + head.length + (idBytes === 0 ? 0 : 1 + idBytes) + body.length);
    let at: number = framePrefixBytes;
    frame[at++] = headerTag;
    frame[at++] = head.length;
    frame.set(head, at);
    at += head.length;
    if (idBytes > 0) frame[at++] = idTag;
    this.idAt = at;
    frame.set(body, at + idBytes);
    this.frames[idBytes] = frame;
    return frame;
  }

  private encodedEvents(): Uint8Array {
    this.body ??= toBinary(WatchResponseSchema, create(WatchResponseSchema, { events: [...this.events] }));
    return this.body;
  }
}

/** A watch's id as its messages have it: a varint, or nothing for 0. */
export function encodedId(id: bigint): Uint8Array {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, id); rest > 0n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0));
  return Uint8Array.from(bytes);
}
