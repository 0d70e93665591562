import { UnumError, isUnumError } from "../base/index.ts";
import { DiskError } from "../ports/index.ts";

/** What went wrong, as an error of ours: an unexpected one stops what it happened to. */
export function asUnumError(error: unknown): UnumError {
  if (isUnumError(error)) return error;
  if (error instanceof DiskError) return diskFailure(error);
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return new UnumError("NODE_STOPPED", `An unexpected fault: ${text}`, { cause: error });
}

/** A disk that refused something the node cannot do without. */
export function diskFailure(error: DiskError): UnumError {
  return new UnumError(error.code === "full" ? "OUT_OF_SPACE" : "DISK_FAILED", `The data directory cannot be used: ${error.message}`, {
    cause: error,
  });
}
