export { openEtcdGateway } from "./gateway.ts";
export type { EtcdDoor, EtcdGateway, EtcdGatewayOptions, EtcdGatewayPorts, EtcdSettings } from "./gateway.ts";
export { etcdVersion } from "./version.ts";
