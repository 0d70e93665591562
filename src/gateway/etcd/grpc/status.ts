import { Code } from "../../../etcd/index.ts";

/** How an HTTP gateway says a status: the table of grpc-gateway. */
export function httpStatusOf(code: Code): number {
  switch (code) {
    case Code.ok:
      return 200;
    case Code.canceled:
      return 499;
    case Code.invalidArgument:
    case Code.failedPrecondition:
    case Code.outOfRange:
      return 400;
    case Code.deadlineExceeded:
      return 504;
    case Code.notFound:
      return 404;
    case Code.alreadyExists:
    case Code.aborted:
      return 409;
    case Code.permissionDenied:
      return 403;
    case Code.unauthenticated:
      return 401;
    case Code.resourceExhausted:
      return 429;
    case Code.unimplemented:
      return 501;
    case Code.unavailable:
      return 503;
    default:
      return 500;
  }
}
