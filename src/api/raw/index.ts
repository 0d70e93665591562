export { openRaw } from "./keyspace.ts";
export type { RawHandle, RawKeyspace, RawWatch, RawWatchOwner, RawWatchRequest, TakeReply } from "./types.ts";
