export * from "./generated/auth_pb.ts";
export { Event_EventType, EventSchema, file_kv, KeyValueSchema } from "./generated/kv_pb.ts";
export type { Event, KeyValue } from "./generated/kv_pb.ts";
export * from "./generated/rpc_pb.ts";
export { Election, file_v3election } from "./generated/v3election_pb.ts";
export type { LeaderKey } from "./generated/v3election_pb.ts";
export { file_v3lock, Lock } from "./generated/v3lock_pb.ts";
export { file_health, Health, HealthCheckResponse_ServingStatus } from "./generated/health_pb.ts";
export { file_reflection, ServerReflection } from "./generated/reflection_pb.ts";
