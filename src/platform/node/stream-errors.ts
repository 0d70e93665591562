import { StreamError } from "../../ports/index.ts";
import type { StreamErrorCode } from "../../ports/index.ts";

const codes: Readonly<Record<string, StreamErrorCode>> = {
  ECONNREFUSED: "refused",
  ETIMEDOUT: "timeout",
  ECONNRESET: "reset",
  EPIPE: "reset",
  ECONNABORTED: "reset",
  EADDRINUSE: "in-use",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  ENOTFOUND: "unreachable",
  EAI_AGAIN: "unreachable",
  EADDRNOTAVAIL: "unreachable",
};

/** What the operating system said, in the words of the port. */
export function streamError(error: NodeJS.ErrnoException, otherwise: StreamErrorCode): StreamError {
  return new StreamError(codes[error.code ?? ""] ?? otherwise, error.message, { cause: error });
}
