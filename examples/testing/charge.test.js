// node --test examples/testing/charge.test.js
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { simTest, simulate } from "unum/testing";
import { chargeFenced, chargeNaively } from "./charge.js";

const invoices = ["a", "b", "c", "d", "e", "f"];

/** Three nodes work through the same invoices while things break; in the end each was charged once. */
const story = (charge) => async (world) => {
  const tax = world.external("tax", { quote: (amount) => amount / 10 });
  await world.run(0, (unum) => unum.kv.put("balance", 1_000));
  const jobs = [0, 1, 2].map((node) =>
    world.run(node, async (unum) => {
      for (const invoice of invoices) {
        await charge(unum, tax, invoice, 10);
        await sleep(Math.random() * 1_000);
      }
    }),
  );
  await Promise.all(jobs);
  world.heal();
  const { value: balance } = await world.connect().kv.get("balance");
  assert.equal(balance, 1_000 - invoices.length * 11);
};

simTest("with a fence every invoice is charged once", { seeds: 50, faults: "swarm", timeoutMs: 120_000 }, story(chargeFenced));

test("without a fence some seed shows an invoice that is charged twice", { timeout: 120_000 }, async (context) => {
  for (let seed = 1; seed <= 50; seed++) {
    try {
      await simulate({ seed, faults: "swarm" }, story(chargeNaively));
    } catch (error) {
      assert.equal(error.code, "ERR_ASSERTION");
      context.diagnostic(`seed ${seed}: balance ${error.actual}, expected ${error.expected}`);
      return;
    }
  }
  assert.fail("no seed of 50 broke the naive job: either it was mended or the faults no longer reach it");
});
