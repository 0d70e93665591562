import type { Entry } from "../../api/index.ts";
import type { Seen } from "../history.ts";

/** "name/5" becomes "name/5:" and five letters; what does not end in a length stays as it is. */
export function pad(value: string): string {
  const length = /\/(\d+)$/.exec(value)?.[1];
  return length === undefined ? value : `${value}:${"x".repeat(Number(length))}`;
}

/** The value that was padded; what is not as `pad` made it comes back as it is, and no checker will know it. */
export function unpad(stored: string): string {
  const end = stored.indexOf(":");
  if (end < 0) return stored;
  const value = stored.slice(0, end);
  return pad(value) === stored ? value : `damaged ${stored.slice(0, 60)}`;
}

export function toSeen(entry: Entry<string>): Seen {
  const { createRevision, key, revision, value, version } = entry;
  return { key, value: unpad(value), revision, createRevision, version };
}
