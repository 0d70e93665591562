import { DiskError } from "../../ports/index.ts";

const fullCodes: readonly string[] = ["ENOSPC", "EDQUOT"];

/** The system's error as a `DiskError`. What a sync refuses is never "full": nobody knows what is durable then. */
export function diskError(cause: unknown, path: string, stage: "call" | "sync" = "call"): DiskError {
  if (cause instanceof DiskError) return cause;
  const { code = "EIO", message = String(cause) } = cause as NodeJS.ErrnoException;
  return fromCode(code, `${path}: ${message}`, stage, cause);
}

export function fromCode(code: string, message: string, stage: "call" | "sync", cause?: unknown): DiskError {
  if (code === "ENOENT") return new DiskError("missing", message, { cause });
  if (stage === "call" && fullCodes.includes(code)) return new DiskError("full", message, { cause });
  if (code === "EBADF") return new DiskError("closed", message, { cause });
  return new DiskError("io", message, { cause });
}
