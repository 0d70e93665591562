import type { Call } from "../grpc/index.ts";
import type { Ground } from "../service.ts";
import { Code, GrpcError } from "../../../etcd/index.ts";

/** Of a call whose time is over, or that nobody waits for. */
const kept: ReadonlySet<Code> = new Set([Code.canceled, Code.deadlineExceeded]);

/** etcd's locks and elections stand on its own client, whose errors have no code any more: the text is etcd's, the code "unknown". */
export function clientError(ground: Ground, failure: unknown): GrpcError {
  const error = ground.toStatus(failure);
  return kept.has(error.code) ? error : new GrpcError(Code.unknown, error.message);
}

/** A unary method that refuses as one does that stands on etcd's client. */
export function asClient<Request, Answer>(
  ground: Ground,
  method: (request: Request, call: Call) => Promise<Answer>,
): (request: Request, call: Call) => Promise<Answer> {
  return async (request, call) => {
    try {
      return await method(request, call);
    } catch (failure) {
      throw clientError(ground, failure);
    }
  };
}
