export { openEtcdGateway } from "./gateway.ts";
export type { EtcdDoor, EtcdGateway, EtcdGatewayOptions, EtcdGatewayPorts, EtcdSettings } from "./gateway.ts";
export { FrameReader, frameOf } from "./grpc/index.ts";
export { Compare_CompareResult, Compare_CompareTarget, KV, Lease, Watch } from "./messages/index.ts";
export type { KeyValue, RangeRequest, RequestOp, WatchResponse } from "./messages/index.ts";
export { etcdVersion } from "./version.ts";
