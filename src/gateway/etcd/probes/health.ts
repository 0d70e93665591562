import { defineService } from "../grpc/index.ts";
import type { Method } from "../grpc/index.ts";
import { Code, GrpcError, Health, HealthCheckResponse_ServingStatus } from "../../../etcd/index.ts";

/** The gRPC health check: the server as a whole, which serves as long as it answers. */
export function healthService(): readonly Method[] {
  const { SERVING, SERVICE_UNKNOWN } = HealthCheckResponse_ServingStatus;
  return defineService(Health, {
    check: async ({ service }) => {
      if (service !== "") throw new GrpcError(Code.notFound, "unknown service");
      return { status: SERVING };
    },
    watch: (answers) => ({
      message: ({ service }) => answers.send({ status: service === "" ? SERVING : SERVICE_UNKNOWN }),
      ended: () => undefined,
      closed: () => undefined,
    }),
  });
}
