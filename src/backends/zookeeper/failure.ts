import { UnumError, isUnumError } from "../../base/index.ts";
import type { ErrorCode } from "../../base/index.ts";
import type { Reply } from "../../machine/commands/index.ts";
import { isZooKeeperError } from "./client/index.ts";
import type { ZooKeeperCode } from "./client/index.ts";

export type RefusedReply = Extract<Reply, { readonly ok: false }>;

/** What the keyspace says no to: a reply, not an error. */
export class Refused extends Error {
  readonly code: ErrorCode;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, details: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.code = code;
    this.details = details;
  }

  reply(revision: number): RefusedReply {
    return { ok: false, revision, code: this.code, message: this.message, details: this.details };
  }
}

const refusals: Partial<Record<ZooKeeperCode, ErrorCode>> = {
  NO_AUTH: "FORBIDDEN",
  AUTH_FAILED: "FORBIDDEN",
  SESSION_CLOSED_REQUIRE_SASL: "FORBIDDEN",
  QUOTA_EXCEEDED: "OVER_QUOTA",
  UNIMPLEMENTED: "UNSUPPORTED",
};

/** What a server says of the request itself, whoever asks and however often. */
export function refusedBy(code: ZooKeeperCode, path: string): Refused | undefined {
  const refusal = refusals[code];
  return refusal === undefined ? undefined : new Refused(refusal, `The ZooKeeper refuses: ${code} (${path}).`, { zookeeper: code });
}

/** A refusal for good, or undefined for what may go better the next time. */
export function refusalIn(error: unknown): Refused | undefined {
  if (error instanceof Refused) return error;
  if (isZooKeeperError(error)) return refusedBy(error.code, error.path);
  if (isUnumError(error, "TOO_LARGE")) return new Refused("TOO_LARGE", error.message);
  return undefined;
}

/** Nothing was done, and the handle may ask again. */
export function unavailable(reason: string): UnumError {
  return new UnumError("UNAVAILABLE", `The ZooKeeper did not answer: ${reason}.`, { outcome: "not-applied" });
}

export function closed(): UnumError {
  return new UnumError("CLOSED", "The handle was closed; nothing was sent.");
}

export function unknownOutcome(revision: number): RefusedReply {
  const message = "The ZooKeeper did not say in time what became of the request; it may have been applied. Read before writing again.";
  return { ok: false, revision, code: "UNKNOWN_OUTCOME", message, details: {} };
}
