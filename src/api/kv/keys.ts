import { UnumError, isWellFormed, latin1Decode, latin1Encode, limits, utf8Decode, utf8Encode, utf8TryDecode } from "../../base/index.ts";
import type { KeyRange } from "../../machine/commands/index.ts";
import type { Key, Range } from "../types.ts";

/** As the end of a range: no end. */
const noEnd = "\0";
/** The smallest key that there can be. */
const firstKey = "\0";

/** Whether every character is ASCII: then the text and its UTF-8 bytes as characters are one and the same. */
function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

function invalidKey(message: string): UnumError {
  return new UnumError("INVALID_KEY", message);
}

/** Any part of a key, empty ones too, as the machine holds keys: one character per byte. */
export function byteString(key: Key, what: string): string {
  if (typeof key === "string") {
    if (isAscii(key)) return key;
    if (!isWellFormed(key)) throw invalidKey(`${what} ${JSON.stringify(key)} holds half of a surrogate pair, which has no UTF-8 form.`);
    return latin1Decode(utf8Encode(key));
  }
  if (key instanceof Uint8Array) return latin1Decode(key);
  throw invalidKey(`${what} is a string or bytes, not ${key === null ? "null" : typeof key}.`);
}

/** A whole key behind `prefix`, itself a byte string. */
export function keyString(prefix: string, key: Key): string {
  const bytes = byteString(key, "The key");
  if (bytes.length === 0) throw invalidKey("The key is empty.");
  return checkLength(prefix + bytes);
}

function checkLength(key: string): string {
  if (key.length <= limits.keyBytesMax) return key;
  throw invalidKey(`The key has ${key.length} bytes, ${limits.keyBytesMax} are allowed.`);
}

/** The first byte string behind all that begin with `prefix`; no end when there is none. */
export function prefixEnd(prefix: string): string {
  for (let at = prefix.length - 1; at >= 0; at--) {
    const code = prefix.charCodeAt(at);
    if (code < 0xff) return prefix.slice(0, at) + String.fromCharCode(code + 1);
  }
  return noEnd;
}

export function isRange(target: unknown): target is Range {
  return typeof target === "object" && target !== null && !(target instanceof Uint8Array) && ("prefix" in target || "from" in target);
}

export function rangeOf(prefix: string, range: Range): KeyRange {
  if (!isRange(range)) throw new UnumError("INVALID_ARGUMENT", "A range is { prefix } or { from, to }.");
  if ("prefix" in range) {
    const start = checkLength(prefix + byteString(range.prefix, "The prefix"));
    return { key: start === "" ? firstKey : start, end: prefixEnd(start) };
  }
  const start = checkLength(prefix + byteString(range.from, "The range's from"));
  const key = start === "" ? firstKey : start;
  if (range.to === undefined) return { key, end: prefixEnd(prefix) };
  const end = checkLength(prefix + byteString(range.to, "The range's to"));
  if (end <= key) throw new UnumError("INVALID_ARGUMENT", "A range's to lies behind its from, in the order of bytes.");
  return { key, end };
}

/** The key that follows: where the next page begins. */
export function keyAfter(key: string): string {
  return `${key}\0`;
}

export function keyBytes(key: string): Uint8Array {
  return latin1Encode(key);
}

/** A byte string as text, with replacement characters where it is no UTF-8. */
export function keyText(key: string): string {
  if (isAscii(key)) return key;
  const bytes = latin1Encode(key);
  return utf8TryDecode(bytes) ?? replaceInvalid(bytes);
}

/** Each byte that begins no UTF-8 sequence becomes U+FFFD; for people only. */
function replaceInvalid(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    let length = Math.min(4, bytes.length - at);
    while (length > 0 && utf8TryDecode(bytes.subarray(at, at + length)) === undefined) length--;
    // The longest valid run of up to four bytes may be several characters; a part of the next one is left for the next step.
    text += length === 0 ? "\ufffd" : utf8Decode(bytes.subarray(at, at + length));
    at += Math.max(1, length);
  }
  return text;
}
