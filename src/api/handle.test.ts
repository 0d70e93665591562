import { MessageChannel } from "node:worker_threads";
import { NodeStreams } from "../platform/node/index.ts";
import { MessagePortCarrier, StreamCarrier } from "../wire/index.ts";
import type { PortLike } from "../wire/index.ts";
import { handleContract } from "./handle.contract.ts";
import { openHandle } from "./index.ts";
import { FakeCluster } from "./testing/fake-cluster.contract.ts";
import { RealClock } from "./testing/real-clock.contract.ts";

const clock = new RealClock();
const defer = (callback: () => void): void => clock.defer(callback);

handleContract("direct calls", () => {
  const cluster = new FakeCluster(clock, ["a", "b", "c"]);
  const handle = openHandle(cluster.environment(1), { endpoints: ["b:7400"] });
  return Promise.resolve({ handle, close: () => Promise.resolve() });
});

handleContract("a MessagePort", () => {
  const cluster = new FakeCluster(clock, ["a"]);
  cluster.connect = (node) => {
    const { port1, port2 } = new MessageChannel();
    node.accept(new MessagePortCarrier(port2 as PortLike, defer));
    return Promise.resolve(new MessagePortCarrier(port1 as PortLike, defer));
  };
  const handle = openHandle(cluster.environment(2), { endpoints: ["local"], direct: false });
  return Promise.resolve({ handle, close: () => Promise.resolve() });
});

handleContract("TCP", async () => {
  const cluster = new FakeCluster(clock, ["a", "b", "c"]);
  const streams = new NodeStreams();
  const listeners = new Map<unknown, Awaited<ReturnType<NodeStreams["listen"]>>>();
  for (const node of cluster.nodes.values()) {
    const accept = (stream: ConstructorParameters<typeof StreamCarrier>[0]): void => node.accept(new StreamCarrier(stream, defer));
    listeners.set(node, await streams.listen({ host: "127.0.0.1", port: 0 }, accept));
  }
  cluster.connect = async (node) => {
    const address = listeners.get(node)?.address ?? { host: "127.0.0.1", port: 1 };
    return new StreamCarrier(await streams.dial(address, { timeoutMs: 1000, purpose: "client" }), defer);
  };
  const handle = openHandle(cluster.environment(3), { endpoints: ["b:7400"] });
  const close = async (): Promise<void> => {
    for (const listener of listeners.values()) await listener.close();
  };
  return { handle, close };
});
