import { create, toBinary } from "@bufbuild/protobuf";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { WatchChange } from "../../../api/index.ts";
import { frameFor, framePrefixBytes } from "../grpc/index.ts";
import { keyValueOf } from "../kv/results.ts";
import { Event_EventType, ResponseHeaderSchema, WatchResponseSchema } from "../messages/index.ts";
import type { EventSchema } from "../messages/index.ts";
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
  private head: Uint8Array | undefined;
  private body: Uint8Array | undefined;

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

  /** A whole frame for the watch with this id. */
  frameFor(id: bigint): Uint8Array {
    this.head ??= toBinary(ResponseHeaderSchema, create(ResponseHeaderSchema, this.header));
    const { head } = this;
    const body = this.encodedEvents();
    const idBytes = varintBytes(id);
    // The header's length takes one byte: it has four numbers.
    const frame = frameFor(2 + head.length + (id === 0n ? 0 : 1 + idBytes) + body.length);
    let at: number = framePrefixBytes;
    frame[at++] = headerTag;
    frame[at++] = head.length;
    frame.set(head, at);
    at += head.length;
    if (id !== 0n) {
      frame[at++] = idTag;
      at = putVarint(frame, at, id);
    }
    frame.set(body, at);
    return frame;
  }

  private encodedEvents(): Uint8Array {
    this.body ??= toBinary(WatchResponseSchema, create(WatchResponseSchema, { events: [...this.events] }));
    return this.body;
  }
}

function varintBytes(value: bigint): number {
  if (value >= 0n && value < 0x80n) return 1;
  let bytes = 1;
  for (let rest = BigInt.asUintN(64, value) >> 7n; rest > 0n; rest >>= 7n) bytes++;
  return bytes;
}

function putVarint(target: Uint8Array, from: number, value: bigint): number {
  let at = from;
  if (value >= 0n && value < 0x8000_0000n) {
    let rest = Number(value);
    for (; rest >= 0x80; rest >>>= 7) target[at++] = (rest & 0x7f) | 0x80;
    target[at++] = rest;
    return at;
  }
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) target[at++] = Number(rest & 0x7fn) | 0x80;
  target[at++] = Number(rest);
  return at;
}
