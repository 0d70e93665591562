export { openEtcdGateway } from "./gateway.ts";
export type { EtcdGateway, EtcdGatewayOptions, EtcdGatewayPorts } from "./gateway.ts";
export { etcdVersion } from "./version.ts";
