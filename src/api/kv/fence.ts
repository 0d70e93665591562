import { UnumError, emptyBytes } from "../../base/index.ts";
import type { Command, Operation, OperationResult, TxnOperation } from "../../machine/commands/index.ts";
import type { CallOptions } from "../basics.ts";
import { markOf } from "../claims/claim.ts";
import type { ClaimMark } from "../claims/claim.ts";
import { guardedCommand } from "../claims/marks.ts";
import { expectResult } from "../client/replies.ts";
import type { Keyspace } from "./keyspace.ts";

/** What a write of the machine answers, once the fence is off. */
type Take<T> = (revision: number, result: OperationResult) => T;

export type Fenced = CallOptions & { readonly fence?: unknown };

/**
 * A write, only while the claim of `options.fence` is held. In the claim's own keyspace its key is compared in the same step, so that
 * from the moment in which the claim ended the write is refused with FENCED, however late it comes. In another one it is refused once a
 * later claim of the name has acted there.
 */
export function writeFenced<T>(
  space: Keyspace,
  operation: Extract<Operation, { kind: "put" | "delete" | "txn" }> & Command,
  options: Fenced | undefined,
  taken: Take<T>,
): Promise<T> {
  const take = (body: Uint8Array): T => {
    const { revision, result } = expectResult(body, operation.kind);
    space.note(revision);
    return taken(revision, result as OperationResult);
  };
  if (options?.fence === undefined) return space.command(operation, take, options);
  const mark = heldMark(options.fence);
  // Elsewhere there is no key to compare: the newest fence that acted there decides.
  if (mark.keyspace !== space.name) return space.command(guardedCommand(space, mark, operation), take, options);
  return space.command(behindFence(mark, operation), (body) => takeFenced(space, body, taken), options);
}

/** As `writeFenced`, for a transaction that only reads. Of another keyspace's claim it is a command, since it is a sign of life, too. */
export function readFenced<T>(space: Keyspace, operation: TxnOperation, options: Fenced, take: Take<T>): Promise<T> {
  const mark = heldMark(options.fence);
  if (mark.keyspace !== space.name) return writeFenced(space, operation, options, take);
  return space.query(behindFence(mark, operation), (body) => takeFenced(space, body, take), options);
}

/** What this side knows to be over is not even sent. */
function heldMark(claim: unknown): ClaimMark {
  const mark = markOf(claim);
  if ((claim as { readonly held?: boolean }).held === false) throw fenced(claim);
  return mark;
}

function behindFence({ fence, key }: ClaimMark, operation: Operation): TxnOperation {
  const compare = { key, end: "", target: "create", relation: "equal", number: fence, lease: 0n, value: emptyBytes } as const;
  return { kind: "txn", compare: [compare], success: [operation], failure: [] };
}

function takeFenced<T>(space: Keyspace, body: Uint8Array, take: Take<T>): T {
  const { revision, result } = expectResult(body, "txn");
  space.note(revision);
  const [inner] = result.results;
  if (!result.succeeded || inner === undefined) throw fenced(undefined);
  return take(revision, inner);
}

function fenced(claim: unknown): UnumError {
  const name = (claim as { readonly name?: unknown } | undefined)?.name;
  const which = typeof name === "string" ? `The claim "${name}"` : "The claim";
  return new UnumError("FENCED", `${which} of this write has ended; nothing was written. Stop acting for it, and acquire it again.`);
}
