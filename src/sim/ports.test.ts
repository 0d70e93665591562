import { Prng } from "../base/index.ts";
import { checksumContract } from "../ports/checksum.contract.ts";
import { clockContract } from "../ports/clock.contract.ts";
import type { ClockHarness } from "../ports/clock.contract.ts";
import { namesContract } from "../ports/names.contract.ts";
import { randomContract } from "../ports/random.contract.ts";
import { streamsContract } from "../ports/streams.contract.ts";
import type { StreamPurpose } from "../ports/index.ts";
import { SimChecksum, SimRandom, SimWorld } from "./index.ts";
import type { Scheduler } from "./index.ts";

/** Small steps of virtual time, for conditions that no event brings about. */
function untilIn(scheduler: Scheduler): (done: () => boolean) => Promise<void> {
  return async (done) => {
    const endMs = scheduler.nowMs + 60_000;
    do {
      if (scheduler.nowMs > endMs) throw new Error(`it did not happen within 60 s\n${scheduler.describe()}`);
      await scheduler.run(0.1);
    } while (!done());
  };
}

function clockHarness(driftPpm: number): ClockHarness {
  const world = new SimWorld(1);
  return { clock: world.machine("n1", { driftPpm }).clock, until: untilIn(world.scheduler) };
}

clockContract("SimClock", () => clockHarness(0));
clockContract("SimClock that runs 1 % fast", () => clockHarness(10_000));
clockContract("SimClock that runs 1 % slow", () => clockHarness(-10_000));
randomContract("SimRandom", () => new SimRandom(new Prng(1)));
namesContract("SimNames", () => {
  const world = new SimWorld("names");
  world.names.set("cluster", ["n2", "n1", "n2"]);
  return { names: world.machine("n1").names, known: "cluster", unknown: "nobody", settle: (promise) => world.scheduler.settle(promise) };
});
checksumContract("SimChecksum", () => new SimChecksum());

for (const purpose of ["client", "entries"] as const satisfies readonly StreamPurpose[]) {
  streamsContract(`SimStreams (${purpose})`, () => {
    const world = new SimWorld(`streams ${purpose}`);
    const server = world.machine("server");
    const client = world.machine("client");
    const silent = world.machine("silent");
    silent.host.crash("power");
    return {
      server: server.streams,
      serverHost: "server",
      client: client.streams,
      purpose,
      until: untilIn(world.scheduler),
      settle: (promise) => world.scheduler.settle(promise),
      silentAddress: { host: "silent", port: 1 },
    };
  });
}
