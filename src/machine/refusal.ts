import type { ErrorCode } from "../base/index.ts";

/** Why a command is not applied: a value, since a refusal is an ordinary answer. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, string | number>>;
}

export function refusal(code: ErrorCode, message: string, details: Readonly<Record<string, string | number>> = {}): Refusal {
  return { code, message, details };
}
