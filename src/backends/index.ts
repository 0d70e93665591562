export type { Engine, EngineCall, EngineWatch, Reading, WatchSink } from "./engine.ts";
export { openEtcdEngine } from "./etcd/engine.ts";
export { openZooKeeperEngine } from "./zookeeper/engine.ts";
export { parseEngineUrl } from "./url.ts";
export type { EngineUrl } from "./url.ts";
export { EngineNode } from "./node.ts";
