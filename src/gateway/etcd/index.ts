export { openEtcdGateway } from "./gateway.ts";
export type { EtcdGateway, EtcdGatewayOptions, EtcdGatewayPorts } from "./gateway.ts";
export { FrameReader, frameOf } from "./grpc/index.ts";
export { Compare_CompareResult, Compare_CompareTarget, KV, Lease, Watch } from "./messages/index.ts";
export type { KeyValue, RangeRequest, RequestOp, WatchResponse } from "./messages/index.ts";
export { etcdVersion } from "./version.ts";
