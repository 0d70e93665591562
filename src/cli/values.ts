import { base64Encode, utf8Encode, utf8TryDecode } from "../base/index.ts";
import type { StoredEntry } from "./client.ts";

/**
 * `kv put KEY VALUE`: the text itself if it is JSON, else the JSON string of it. What programs store
 * through the default codec is JSON text, so they read what the shell wrote and the other way round.
 */
export function encodeValue(text: string): Uint8Array {
  return utf8Encode(isJson(text) ? text.trim() : JSON.stringify(text));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}

/** For `--json`: the value as it reads back, or its bytes where it is no JSON. */
export function valueFields(value: Uint8Array): { readonly value: unknown } | { readonly valueBase64: string } {
  const text = utf8TryDecode(value);
  if (text === undefined || !isJson(text)) return { valueBase64: base64Encode(value) };
  return { value: JSON.parse(text) as unknown };
}

export function keyFields(key: string, keyBytes: Uint8Array): Readonly<Record<string, string>> {
  return utf8TryDecode(keyBytes) === undefined ? { key, keyBase64: base64Encode(keyBytes) } : { key };
}

export function entryJson(entry: StoredEntry): Readonly<Record<string, unknown>> {
  return {
    ...keyFields(entry.key, entry.keyBytes),
    ...valueFields(entry.value),
    revision: entry.revision,
    createRevision: entry.createRevision,
    version: entry.version,
    lease: entry.lease ?? null,
  };
}

/** One line for people: the stored text, or base64 where it is no text. */
export function valueText(value: Uint8Array): string {
  const text = utf8TryDecode(value);
  // A value that could move the cursor or break the line is shown as JSON shows it.
  if (text === undefined) return `base64:${base64Encode(value)}`;
  return /[\u0000-\u001f\u007f-\u009f]/.test(text) ? JSON.stringify(text) : text;
}
