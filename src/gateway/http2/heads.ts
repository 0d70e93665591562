import { MalformedBytes } from "../../base/index.ts";
import type { HttpFields } from "../../ports/index.ts";
import { huffmanDecode } from "./huffman.ts";

type Field = readonly [name: string, value: string];

/** RFC 7541, appendix A: index 1 is the first. */
// biome-ignore format: a table
const staticTable: readonly Field[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

const entryOverheadBytes = 32;
/** What both sides assume before a setting says otherwise; we never say. */
const tableBytesMax = 4096;
/** Heads that say nothing new and were seen before: a client's calls mostly look alike. */
const knownHeadsMax = 64;

/** The fields of a request's head, the pseudo-fields by themselves. */
export interface Head {
  readonly method: string;
  readonly path: string;
  readonly fields: HttpFields;
  /** It is not one: a field in upper case, a pseudo-field twice, in the wrong place or missing. */
  readonly malformed: boolean;
}

/** More than was allowed. */
export class HeadTooLarge extends Error {
  override readonly name = "HeadTooLarge";
}

/** Decodes the heads of one connection, in order: each may refer to fields of those before it. */
export class HeadDecoder {
  private readonly headBytesMax: number;
  /** The newest first. */
  private table: Field[] = [];
  private tableBytes = 0;
  private limitBytes = tableBytesMax;
  private readonly known = new Map<string, Head>();
  private bytes: Uint8Array = new Uint8Array(0);
  private at = 0;

  constructor(headBytesMax: number) {
    this.headBytesMax = headBytesMax;
  }

  /** Throws `MalformedBytes` when the connection cannot go on, `HeadTooLarge` when only this head is refused. */
  decode(block: Uint8Array): Head {
    const name = block.length <= 128 ? String.fromCharCode.apply(null, block as unknown as number[]) : undefined;
    const known = name === undefined ? undefined : this.known.get(name);
    if (known !== undefined) return known;
    this.bytes = block;
    this.at = 0;
    const list: Field[] = [];
    let size = 0;
    let changed = false;
    while (this.at < block.length) {
      const first = block[this.at] as number;
      if ((first & 0xe0) === 0x20) {
        this.resize(this.integer(5));
        changed = true;
        continue;
      }
      const field = (first & 0x80) !== 0 ? this.indexed(this.integer(7)) : this.literal((first & 0x40) !== 0);
      if ((first & 0xc0) === 0x40) changed = true;
      size += field[0].length + field[1].length + entryOverheadBytes;
      // Decoding goes on, so that the table stays as the client thinks it is.
      if (size <= this.headBytesMax) list.push(field);
    }
    if (changed) this.known.clear();
    if (size > this.headBytesMax) throw new HeadTooLarge();
    const head = headOf(list);
    if (!changed && name !== undefined && this.known.size < knownHeadsMax) this.known.set(name, head);
    return head;
  }

  private indexed(index: number): Field {
    const field = index <= staticTable.length ? staticTable[index - 1] : this.table[index - staticTable.length - 1];
    if (field === undefined) throw new MalformedBytes(`no field ${index} in the table of heads`);
    return field;
  }

  private literal(remembers: boolean): Field {
    const index = this.integer(remembers ? 6 : 4);
    const name = index === 0 ? this.text() : this.indexed(index)[0];
    const field: Field = [name, this.text()];
    if (remembers) this.remember(field);
    return field;
  }

  private remember(field: Field): void {
    this.table.unshift(field);
    this.tableBytes += field[0].length + field[1].length + entryOverheadBytes;
    this.evict();
  }

  private resize(bytes: number): void {
    if (bytes > tableBytesMax) throw new MalformedBytes("a table of heads larger than was offered");
    this.limitBytes = bytes;
    this.evict();
  }

  private evict(): void {
    while (this.tableBytes > this.limitBytes) {
      const last = this.table.pop();
      if (last === undefined) return;
      this.tableBytes -= last[0].length + last[1].length + entryOverheadBytes;
    }
  }

  private integer(prefix: number): number {
    const mask = (1 << prefix) - 1;
    let value = this.byte() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 21; shift += 7) {
      const next = this.byte();
      value += (next & 0x7f) << shift;
      if ((next & 0x80) === 0) return value;
    }
    throw new MalformedBytes("a number in a head is too large");
  }

  private text(): string {
    const huffman = ((this.bytes[this.at] ?? 0) & 0x80) !== 0;
    const length = this.integer(7);
    const from = this.at;
    const to = from + length;
    if (to > this.bytes.length) throw new MalformedBytes("a text in a head is cut");
    this.at = to;
    if (huffman) return huffmanDecode(this.bytes, from, to);
    let text = "";
    for (let at = from; at < to; at++) text += String.fromCharCode(this.bytes[at] as number);
    return text;
  }

  private byte(): number {
    const byte = this.bytes[this.at++];
    if (byte === undefined) throw new MalformedBytes("a head is cut");
    return byte;
  }
}

function headOf(list: readonly Field[]): Head {
  const pseudo: Record<string, string> = {};
  const fields: Record<string, string> = {};
  let malformed = false;
  let regular = false;
  for (const [name, value] of list) {
    if (name.startsWith(":")) {
      if (regular || pseudo[name] !== undefined) malformed = true;
      pseudo[name] = value;
    } else {
      regular = true;
      if (name === "" || name !== name.toLowerCase() || name === "connection") malformed = true;
      fields[name] = Object.hasOwn(fields, name) ? `${fields[name]}, ${value}` : value;
    }
  }
  const method = pseudo[":method"] ?? "";
  const path = pseudo[":path"] ?? "";
  const authority = pseudo[":authority"];
  if (authority !== undefined && fields["host"] === undefined) fields["host"] = authority;
  return { method, path, fields, malformed: malformed || method === "" || path === "" || pseudo[":scheme"] === undefined };
}

/** Texts of heads that we send: few, and mostly the same objects again. */
const blocks = new WeakMap<HttpFields, Map<number, Uint8Array>>();

/** The block of a head; `status` 0: of trailers. Literals only: nothing for the client to remember. */
export function encodeHead(status: number, fields: HttpFields): Uint8Array {
  let known = blocks.get(fields);
  if (known === undefined) {
    known = new Map();
    blocks.set(fields, known);
  }
  let block = known.get(status);
  if (block === undefined) {
    block = makeBlock(status, fields);
    known.set(status, block);
  }
  return block;
}

function makeBlock(status: number, fields: HttpFields): Uint8Array {
  const bytes: number[] = [];
  const length = (value: number): void => {
    if (value < 127) bytes.push(value);
    else {
      bytes.push(127);
      let rest = value - 127;
      for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
      bytes.push(rest);
    }
  };
  const text = (value: string): void => {
    length(value.length);
    for (let i = 0; i < value.length; i++) bytes.push(value.charCodeAt(i) & 0xff);
  };
  if (status === 200) bytes.push(0x88);
  else if (status > 0) {
    bytes.push(0x08);
    text(String(status));
  }
  for (const [name, value] of Object.entries(fields)) {
    bytes.push(0);
    text(name);
    text(value);
  }
  return Uint8Array.from(bytes);
}
