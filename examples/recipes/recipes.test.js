// node --test examples/recipes/recipes.test.js
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { simTest } from "unum/testing";
import { barrier, doubleBarrier } from "./barrier.js";
import { latch } from "./latch.js";

const nodes = [0, 1, 2];
const options = { seeds: 8, faults: "swarm", timeoutMs: 120_000 };

simTest("nobody leaves a double barrier before all are done, nobody begins before all have come", options, async (world) => {
  // Outside of the nodes, so that a crash does not make it forget who came.
  const came = new Set();
  const done = new Set();
  const all = nodes.map((node) =>
    world.run(node, async (unum) => {
      const { enter, leave } = doubleBarrier(unum, "round", nodes.length);
      await sleep(Math.random() * 8_000);
      came.add(node);
      await enter(`n${node}`);
      assert.equal(came.size, nodes.length, "began before the last had come");
      await sleep(Math.random() * 2_000);
      done.add(node);
      await leave(`n${node}`);
      assert.equal(done.size, nodes.length, "left before the last was done");
    }),
  );
  await Promise.all(all);
});

simTest("a latch holds until it is opened, and lets late comers through", options, async (world) => {
  let opening = false;
  const waiting = [1, 2].map((node) =>
    world.run(node, async (unum) => {
      await latch(unum, "ready").wait();
      assert.ok(opening, "went through a latch that nobody had opened");
    }),
  );
  await world.run(0, async (unum) => {
    await sleep(Math.random() * 5_000);
    opening = true;
    await latch(unum, "ready").open();
  });
  await Promise.all(waiting);
  await latch(world.connect(), "ready").wait();
});

simTest(
  "who waits alone gives up at the deadline or by the signal, and is counted once when it comes again",
  { seeds: 2 },
  async (world) => {
    const unum = world.connect();
    const pair = barrier(unum, "pair", 2);
    await assert.rejects(pair.arrive("a", { timeoutMs: 1_000 }), { name: "TimeoutError" });
    const given = new AbortController();
    const waiting = assert.rejects(pair.arrive("a", { signal: given.signal }), /enough/);
    await world.advance("1s");
    given.abort(new Error("enough"));
    await waiting;
    await Promise.all([pair.arrive("a"), pair.arrive("b")]);
  },
);
