import { handleContract } from "./handle.contract.ts";
import { openHandle } from "./index.ts";
import { FakeCluster } from "./testing/fake-cluster.contract.ts";
import { RealClock } from "./testing/real-clock.contract.ts";

handleContract("a cluster of three in memory", () => {
  const cluster = new FakeCluster(new RealClock(), ["a", "b", "c"]);
  const handle = openHandle(cluster.environment(1), { endpoints: ["b:7400"] });
  return Promise.resolve({ handle, close: () => Promise.resolve() });
});
