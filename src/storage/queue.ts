import { unreachable } from "../base/index.ts";
import type { Entry, HardState, SnapshotMeta } from "../raft/types.ts";
import type { Composer } from "./compose.ts";
import { StateReason, align8, recordHeaderBytes } from "./format.ts";
import type { LogState } from "./log-state.ts";

export type WriteKind = "append" | "create" | "install" | "destroy" | "trust" | "rewrite";

/** One call of a group's log, until it is durable. */
export interface QueuedWrite {
  readonly kind: WriteKind;
  readonly state: LogState;
  readonly hardState: HardState | undefined;
  readonly entries: readonly Entry[];
  /** Of an install. */
  readonly meta: SnapshotMeta | undefined;
  readonly keepLog: boolean;
  /** Of a rewrite: the file that the entries are moved out of. */
  readonly fromFile: number;
  readonly bytes: number;
  readonly done: (() => void) | undefined;
}

export function queuedWrite(kind: WriteKind, state: LogState, parts: Partial<Omit<QueuedWrite, "kind" | "state" | "bytes">>): QueuedWrite {
  const entries = parts.entries ?? [];
  let bytes = kind === "append" ? (parts.hardState === undefined ? 0 : 72) : 512;
  for (const entry of entries) bytes += recordHeaderBytes + align8(entry.data.length);
  return {
    kind,
    state,
    hardState: parts.hardState,
    entries,
    meta: parts.meta,
    keepLog: parts.keepLog ?? false,
    fromFile: parts.fromFile ?? 0,
    bytes,
    done: parts.done,
  };
}

/** Whether a write changes what a later vote depends on, so that it is written twice. */
export function needsCopy(write: QueuedWrite): boolean {
  if (write.kind !== "append") return write.kind !== "rewrite";
  const { hardState, state } = write;
  return hardState !== undefined && (hardState.term !== state.hardState.term || hardState.vote !== state.hardState.vote);
}

/** Puts a write's records into the batch and brings the group's state to what they say. */
export function composeWrite(composer: Composer, write: QueuedWrite): void {
  const { state } = write;
  switch (write.kind) {
    case "append":
      composeAppend(composer, write);
      return;
    case "rewrite":
      for (const entry of write.entries) {
        // Replaced or released since it was read: then the old place is nobody's any more.
        if (state.index.has(entry.index) && state.index.fileAt(entry.index) === write.fromFile) composer.entry(state, entry);
      }
      return;
    case "create":
      composer.state(state, StateReason.create);
      return;
    case "trust":
      state.suspect = false;
      composer.state(state, StateReason.restate);
      return;
    case "install":
      composeInstall(composer, write);
      return;
    case "destroy":
      composer.destroy(state);
      return;
    default:
      unreachable(write.kind);
  }
}

function composeAppend(composer: Composer, { state, hardState, entries }: QueuedWrite): void {
  if (hardState !== undefined) {
    state.hardState = hardState;
    composer.hardState(state, hardState);
  }
  const first = entries[0];
  if (first === undefined) return;
  if (first.index <= state.index.last) composer.truncate(state, first.index);
  for (const entry of entries) composer.entry(state, entry);
}

function composeInstall(composer: Composer, { state, hardState, meta, keepLog }: QueuedWrite): void {
  if (hardState !== undefined) state.hardState = hardState;
  if (meta !== undefined) {
    state.snapshot = meta;
    state.snapshotHasBytes = true;
    if (!keepLog) state.index.reset(meta.index + 1);
  }
  composer.state(state, keepLog ? StateReason.installKeepingLog : StateReason.install);
}
