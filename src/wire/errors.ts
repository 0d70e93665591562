import { MalformedBytes, UnumError, isErrorCode, isUnumError } from "../base/index.ts";
import type { Outcome, Reader, Retry, Writer } from "../base/index.ts";
import type { WireError } from "./types.ts";

/** The numbers on the wire are positions in these lists: append only. */
const outcomes: readonly Outcome[] = ["not-applied", "unknown"];
const retries: readonly Retry[] = ["safe", "maybe-applied", "never"];

/** JSON has no bigint, and details may come from anywhere: what cannot be written is left out, not thrown. */
function detailsText(details: Readonly<Record<string, unknown>>): string {
  try {
    return JSON.stringify(details, (_key, value: unknown) => (typeof value === "bigint" ? value.toString() : value)) ?? "{}";
  } catch {
    return '{"unprintable":true}';
  }
}

function parseDetails(text: string): Readonly<Record<string, unknown>> {
  if (text === "{}") return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new MalformedBytes("an error's details are no JSON");
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new MalformedBytes("an error's details are no object");
  return value as Record<string, unknown>;
}

export function writeWireError(writer: Writer, error: WireError): void {
  writer.text(error.code).text(error.message);
  writer.u8(outcomes.indexOf(error.outcome)).u8(retries.indexOf(error.retry));
  writer.text(detailsText(error.details));
}

/**
 * A code that this build does not know comes from a newer peer: it reads as UNSUPPORTED, with the
 * code in the text and in `details.code`; outcome and retry advice are kept as the peer gave them.
 */
export function readWireError(reader: Reader): WireError {
  const code = reader.text();
  const message = reader.text();
  const outcome = outcomes[reader.u8()] ?? "unknown";
  const retry = retries[reader.u8()] ?? "maybe-applied";
  const details = parseDetails(reader.text());
  if (isErrorCode(code)) return { code, message, outcome, retry, details };
  return { code: "UNSUPPORTED", message: `${code}: ${message}`, outcome, retry, details: { ...details, code } };
}

/**
 * What is told to the other side. What is no error of ours is a fault of this node, after which
 * nobody knows whether the request took effect; malformed bytes are the sender's fault.
 */
export function toWireError(error: unknown): WireError {
  if (isUnumError(error)) {
    return { code: error.code, message: error.message, outcome: error.outcome, retry: error.retry, details: error.details };
  }
  if (error instanceof MalformedBytes) {
    return { code: "MALFORMED", message: error.message, outcome: "not-applied", retry: "never", details: {} };
  }
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { code: "UNKNOWN_OUTCOME", message, outcome: "unknown", retry: "maybe-applied", details: {} };
}

export function fromWireError(error: WireError): UnumError {
  return new UnumError(error.code, error.message, { outcome: error.outcome, retry: error.retry, details: error.details });
}
