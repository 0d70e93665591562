/**
 * A broken invariant of ours: a bug, never bad input. The node that sees one stops, because a
 * replica that goes on after its own reasoning failed may damage what the others hold.
 */
export class AssertionFailure extends Error {
  override readonly name = "AssertionFailure";
}

/** Always on. Split compound conditions, so that the message names the half that failed. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

/** For the `default` of an exhaustive switch: a new variant does not compile until it is handled. */
export function unreachable(value: never): never {
  throw new AssertionFailure(`unreachable: ${String(value)}`);
}

/** Unwraps what an invariant says is there. `what` completes the sentence "… is missing". */
export function defined<T>(value: T | undefined | null, what: string): T {
  if (value === undefined || value === null) throw new AssertionFailure(`${what} is missing`);
  return value;
}
