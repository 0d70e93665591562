import { UnumError } from "../../base/index.ts";
import type { ErrorCode } from "../../base/index.ts";
import { Code, etcdErrors } from "../../etcd/index.ts";
import type { Reply } from "../../machine/commands/index.ts";

/** What a call of etcd's ended with instead of an answer. */
export class EtcdFailure extends Error {
  override readonly name = "EtcdFailure";
  /** Undefined: no status came; the connection was lost. */
  readonly code: Code | undefined;
  /** False: the server has not looked at the request. */
  readonly sent: boolean;

  constructor(code: Code | undefined, message: string, sent: boolean) {
    super(message);
    this.code = code;
    this.sent = sent;
  }
}

/** What etcd says of requests that it has looked at and has not applied, nor will. */
const refusals: ReadonlyMap<string, ErrorCode> = new Map(
  (
    [
      ["emptyKey", "INVALID_KEY"],
      ["keyNotFound", "NOT_FOUND"],
      ["valueProvided", "INVALID_ARGUMENT"],
      ["leaseProvided", "INVALID_ARGUMENT"],
      ["tooManyOps", "TOO_LARGE"],
      ["duplicateKey", "DUPLICATE_KEY"],
      ["compacted", "COMPACTED"],
      ["futureRevision", "FUTURE_REVISION"],
      ["noSpace", "OVER_QUOTA"],
      ["leaseNotFound", "LEASE_NOT_FOUND"],
      ["leaseExists", "LEASE_EXISTS"],
      ["leaseTtlTooLarge", "INVALID_ARGUMENT"],
      ["requestTooLarge", "TOO_LARGE"],
      ["tooManyRequests", "OVERLOADED"],
      ["permissionDenied", "FORBIDDEN"],
      ["userEmpty", "FORBIDDEN"],
      ["authFailed", "FORBIDDEN"],
      ["invalidAuthToken", "FORBIDDEN"],
      ["authNotEnabled", "FORBIDDEN"],
      ["corrupt", "CORRUPT"],
    ] as const
  ).map(([name, code]) => [etcdErrors[name]().message, code]),
);

const noLeader = etcdErrors.noLeader().message;

/**
 * The refusal as the machine would say it, or an error that lets the handle ask again.
 *
 * `effect`: the request changes something. Then what nobody knows the end of is UNKNOWN_OUTCOME and not repeated: etcd would apply a copy
 * once more.
 */
export function refusalOf(failure: unknown, effect: boolean, revision: number): Extract<Reply, { readonly ok: false }> {
  if (!(failure instanceof EtcdFailure)) throw failure;
  const { code: status, message, sent } = failure;
  const refuse = (code: ErrorCode, text: string): Extract<Reply, { readonly ok: false }> => ({
    ok: false,
    revision,
    code,
    message: text,
    details: { etcd: message },
  });
  const code = refusals.get(message);
  if (code !== undefined) return refuse(code, `The etcd refuses: ${message}.`);
  if (message === noLeader) throw new UnumError("NO_LEADER", `The etcd has no leader now: ${message}.`, { outcome: "not-applied" });
  if (!effect || !sent) throw new UnumError("UNAVAILABLE", `The etcd did not answer: ${message}.`, { outcome: "not-applied" });
  if (status === Code.invalidArgument || status === Code.failedPrecondition || status === Code.unimplemented)
    return refuse("UNSUPPORTED", `The etcd refuses: ${message}.`);
  return refuse(
    "UNKNOWN_OUTCOME",
    `The etcd did not say what became of the request (${message}); it may have been applied. Read before writing again.`,
  );
}
