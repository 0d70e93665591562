import { UnumError, isUnumError, isWellFormed, utf8Encode } from "../../base/index.ts";
import { isStandardSchema } from "../schema.ts";
import type { StandardSchemaV1 } from "../schema.ts";
import type { Codec } from "../types.ts";
import { decodeJson, decodeText, encodeJson } from "./json.ts";
import { keyText } from "./keys.ts";

/** A codec of ours: what `decode` is given lies in a received frame, and it keeps nothing of it. */
interface ViewCodec<I, O> extends Codec<I, O> {
  readonly readsView: true;
}

/** The default: JSON text without any tag. */
export const json: Codec<unknown> = { readsView: true, encode: encodeJson, decode: decodeJson } as ViewCodec<unknown, unknown>;

/** UTF-8 text. */
export const text: Codec<string> = {
  readsView: true,
  encode(value) {
    if (typeof value !== "string") throw invalid(`takes text, not ${describeType(value)}`);
    if (!isWellFormed(value)) throw invalid("holds half of a surrogate pair, which has no UTF-8 form");
    return utf8Encode(value);
  },
  decode: decodeText,
} as ViewCodec<string, string>;

/** The bytes as they are. What is given is not changed until the call has settled; what is read is the caller's own. */
export const bytes: Codec<Uint8Array> = {
  encode(value) {
    if (!(value instanceof Uint8Array)) throw invalid(`takes bytes, not ${describeType(value)}`);
    return value;
  },
  decode: (stored) => stored,
};

/** Checks on write and stores the input as given; parses on read. Only schemas that answer at once. */
export function schemaCodec(schema: StandardSchemaV1): Codec<unknown> {
  return {
    readsView: true,
    encode(value) {
      validate(schema, value);
      return encodeJson(value);
    },
    decode: (stored) => validate(schema, decodeJson(stored)),
  } as ViewCodec<unknown, unknown>;
}

function validate(schema: StandardSchemaV1, value: unknown): unknown {
  const result = schema["~standard"].validate(value);
  if (result instanceof Promise) {
    // Its end is of no interest, but must not be an unhandled rejection.
    result.catch(() => undefined);
    throw new UnumError(
      "INVALID_ARGUMENT",
      `The schema of ${schema["~standard"].vendor} validates asynchronously; a codec answers at once.`,
    );
  }
  if (result.issues === undefined) return result.value;
  const issue = result.issues[0];
  const path = (issue?.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
  throw new UnumError(
    "INVALID_VALUE",
    `The value${path === "" ? "" : ` at ${path}`} does not fit the schema: ${issue?.message ?? "no reason given"}.`,
    {
      details: { path, issues: result.issues.length },
    },
  );
}

function invalid(what: string): UnumError {
  return new UnumError("INVALID_VALUE", `The value ${what}.`, { details: { path: "" } });
}

function describeType(value: unknown): string {
  return value === null ? "null" : typeof value;
}

export function codecOf(given: StandardSchemaV1 | Codec<unknown>): Codec<unknown> {
  if (isStandardSchema(given)) return schemaCodec(given);
  if (typeof given?.encode === "function" && typeof given.decode === "function") return given;
  throw new UnumError("INVALID_ARGUMENT", "with() takes a Standard Schema or a codec with encode and decode.");
}

export function encodeValue(codec: Codec<never, unknown>, value: unknown): Uint8Array {
  try {
    return codec.encode(value as never);
  } catch (error) {
    if (isUnumError(error)) throw error;
    throw new UnumError("INVALID_VALUE", `The value cannot be encoded: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

/** `stored` may be a view of a frame: codecs of others get a copy. `key` is a byte string, for the message. */
export function decodeValue(codec: Codec<never, unknown>, stored: Uint8Array, key: string): unknown {
  try {
    return codec.decode("readsView" in codec ? stored : stored.slice());
  } catch (error) {
    if (isUnumError(error, "INVALID_ARGUMENT")) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UnumError(
      "DECODE_FAILED",
      `The value of ${JSON.stringify(keyText(key))} is not what this handle's codec reads: ${reason}. Read it with the codec that wrote it, or with kv.with(bytes).`,
      { details: { key: keyText(key) }, cause: error },
    );
  }
}
