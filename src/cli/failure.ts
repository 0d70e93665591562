import { isUnumError } from "../base/index.ts";

/** A command ends with this: 0, 1, 2, 130, or what a program that it ran ended with. Nothing below `main.ts` exits the process. */
export type ExitCode = number;

/** The user's mistake: one clear line, a suggestion, exit code 2. */
export class Mistake extends Error {
  override readonly name = "Mistake";
  readonly suggestion: string;

  constructor(message: string, suggestion: string) {
    super(message);
    this.suggestion = suggestion;
  }
}

/** An operation of a command that failed in a way that is no `UnumError`: exit code 1. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** The lines for standard error, and the exit code. */
export function describeFailure(error: unknown): { readonly lines: readonly string[]; readonly exitCode: ExitCode } {
  if (error instanceof Mistake) return { lines: [`unum: ${oneLine(error.message)}`, `  ${error.suggestion}`], exitCode: 2 };
  if (error instanceof Failure) return { lines: [`unum: ${error.code}: ${oneLine(error.message)}`], exitCode: 1 };
  if (isUnumError(error)) return { lines: [`unum: ${error.code}: ${oneLine(error.message)}`], exitCode: 1 };
  const code = systemCode(error);
  const message = error instanceof Error ? error.message : String(error);
  if (code !== undefined) return { lines: [`unum: ${code}: ${oneLine(message)}`], exitCode: 1 };
  const stack = error instanceof Error && error.stack !== undefined ? error.stack.split("\n").slice(1, 4) : [];
  return { lines: [`unum: INTERNAL: ${oneLine(message)}`, ...stack], exitCode: 1 };
}

/** "ENOSPC" and its like, which the platform attaches to what the operating system refused. */
function systemCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

export function failureMessage(error: unknown): string {
  if (isUnumError(error)) return `${error.code}: ${oneLine(error.message)}`;
  return error instanceof Error ? oneLine(error.message) : String(error);
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ").trim();
}
