import { isUnumError } from "../base/index.ts";
import type { UnumError } from "../base/index.ts";

export function describeError(error: UnumError | unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? `\n  because ${error.cause.stack}` : "";
  return `${isUnumError(error) ? error.code : error.name}: ${error.message}${cause}`;
}
