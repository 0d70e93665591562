// node --test examples/testing/cache.test.js
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { simTest } from "unum/testing";
import { keep } from "./cache.js";

simTest("a cache kept by a watch is never stale for good", { seeds: 30, faults: "swarm", timeoutMs: 120_000 }, async (world) => {
  const copies = [];
  for (const node of [0, 1, 2]) {
    void world.run(node, (unum) => {
      // Each life of a node has a copy of its own, as each process has.
      copies[node] = new Map();
      return keep(unum, "flags/", copies[node], new AbortController().signal);
    });
  }
  await world.run(0, async (unum) => {
    for (let i = 0; i < 40; i++) {
      const name = `flags/${Math.floor(Math.random() * 5)}`;
      // A write may fail while things break; what counts is what the cluster says in the end.
      await (Math.random() < 0.8 ? unum.kv.put(name, i) : unum.kv.delete(name)).catch(() => undefined);
      await sleep(Math.random() * 500);
    }
  });
  world.heal();
  await world.connect().kv.put("flags/last", "seen");
  await world.advance("30s");
  const { entries } = await world.connect().kv.range({ prefix: "flags/" });
  const truth = new Map(entries.map((entry) => [entry.key, entry.value]));
  for (const node of [0, 1, 2]) assert.deepEqual(new Map([...copies[node]].sort()), truth, `the copy on node ${node}`);
});
