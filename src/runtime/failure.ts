import { UnumError, isUnumError } from "../base/index.ts";

/** What went wrong, as an error of ours: an unexpected one stops what it happened to. */
export function asUnumError(error: unknown): UnumError {
  if (isUnumError(error)) return error;
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new UnumError("NODE_STOPPED", `An unexpected fault: ${text}`, { cause: error });
}
