import { UnumError, emptyBytes } from "../../base/index.ts";
import type { Command, Operation, OperationResult, TxnOperation } from "../../machine/commands/index.ts";
import type { CallOptions } from "../basics.ts";
import { markOf } from "../claims/claim.ts";
import { expectResult } from "../client/replies.ts";
import type { Keyspace } from "./keyspace.ts";

/** What a write of the machine answers, once the fence is off. */
type Take<T> = (revision: number, result: OperationResult) => T;

export type Fenced = CallOptions & { readonly fence?: unknown };

/**
 * A write, only while the claim of `options.fence` is held: its key is compared in the same step, so that from the
 * moment in which the claim ended the write is refused with FENCED, however late it comes.
 */
export function writeFenced<T>(
  space: Keyspace,
  operation: Extract<Operation, { kind: "put" | "delete" | "txn" }> & Command,
  options: Fenced | undefined,
  take: Take<T>,
): Promise<T> {
  if (options?.fence === undefined) {
    return space.command(
      operation,
      (body) => {
        const { revision, result } = expectResult(body, operation.kind);
        space.note(revision);
        return take(revision, result as OperationResult);
      },
      options,
    );
  }
  return space.command(behindFence(space, operation, options.fence), (body) => takeFenced(space, body, take), options);
}

/** As `writeFenced`, for a transaction that only reads. */
export function readFenced<T>(space: Keyspace, operation: TxnOperation, options: Fenced, take: Take<T>): Promise<T> {
  return space.query(behindFence(space, operation, options.fence), (body) => takeFenced(space, body, take), options);
}

function behindFence(space: Keyspace, operation: Operation, claim: unknown): TxnOperation {
  const { fence, key } = markOf(claim, space.name);
  // What this side knows to be over is not even sent.
  if ((claim as { readonly held?: boolean }).held === false) throw fenced(claim);
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
