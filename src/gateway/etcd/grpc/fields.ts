import { utf8Encode } from "../../../base/index.ts";
import type { HttpFields } from "../../../ports/index.ts";
import type { GrpcError } from "../../../etcd/index.ts";

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** Milliseconds of a `grpc-timeout`; undefined when there is none, NaN when it is not one. */
export function timeoutMsOf(fields: HttpFields): number | undefined {
  const text = fields["grpc-timeout"];
  if (text === undefined) return undefined;
  const match = /^(\d{1,8})([HMSmun])$/.exec(text);
  return match === null ? Number.NaN : Number(match[1]) * (unitMs[match[2] ?? ""] ?? Number.NaN);
}

/** The text of a status, percent-encoded as gRPC wants it: printable ASCII but "%" stands for itself. */
export function encodeStatusText(text: string): string {
  if (/^[ -$&-~]*$/.test(text)) return text;
  let encoded = "";
  for (const byte of utf8Encode(text)) {
    encoded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return encoded;
}

export const answerFields: HttpFields = { "content-type": "application/grpc" };
export const okTrailers: HttpFields = { "grpc-status": "0", "grpc-message": "" };

export function statusFields(error: GrpcError): HttpFields {
  return { "grpc-status": String(error.code), "grpc-message": encodeStatusText(error.message) };
}

/** A refusal before any message: head and trailers in one. */
export function refusalFields(error: GrpcError): HttpFields {
  return { ...answerFields, ...statusFields(error) };
}
