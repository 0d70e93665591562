import { expect, it } from "vitest";
import { UnumError } from "../../base/index.ts";
import { openHandle } from "../index.ts";
import { FakeCluster } from "../testing/fake-cluster.contract.ts";
import { VirtualClock } from "../testing/virtual-clock.contract.ts";

it("a registration ends with its handle: it asked again and again, without a pause, and nothing else of the process ran", async () => {
  const clock = new VirtualClock();
  const cluster = new FakeCluster(clock, ["a"]);
  let stop: (error: UnumError) => void = () => undefined;
  const stopped = new Promise<UnumError>((resolve) => {
    stop = resolve;
  });
  const handle = openHandle({ ...cluster.environment(1), stopped }, { endpoints: ["a:7400"] });
  await clock.settle(handle.ready);
  cluster.intercept = () => "silence";
  let puts = 0;
  const { put } = handle.kv;
  handle.kv.put = (...given: Parameters<typeof put>) => {
    if (++puts > 100) throw new Error("it asks for ever");
    return put.apply(handle.kv, given);
  };
  const schedule = handle.schedule("job", { every: "1m" }, () => undefined);
  await clock.advance(100);
  expect(puts).toBe(1);
  stop(new UnumError("DISK_FAILED"));
  await expect(clock.settle(schedule.closed)).rejects.toMatchObject({ code: "NODE_STOPPED" });
  expect(puts).toBeLessThan(3);
  await clock.settle(handle.close());
});
