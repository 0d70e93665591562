// node --test examples/postgres/document.test.js
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { simTest } from "unum/testing";
import { change, seize, write } from "./document.js";

/** No Postgres: a stand-in that knows these two statements, each of them atomic as an UPDATE of one row is. */
function standIn() {
  const row = { body: "", fence: 0n };
  return {
    query(text, [fence, , body]) {
      if (text === seize) {
        if (row.fence > BigInt(fence)) return { rows: [], rowCount: 0 };
        row.fence = BigInt(fence);
        return { rows: [{ body: row.body }], rowCount: 1 };
      }
      assert.equal(text, write);
      if (row.fence !== BigInt(fence)) return { rows: [], rowCount: 0 };
      row.body = body;
      return { rows: [], rowCount: 1 };
    },
  };
}

simTest("no change of the document is lost, whoever stands still", { seeds: 15, faults: "swarm", timeoutMs: 120_000 }, async (world) => {
  const postgres = world.external("postgres", standIn());
  const words = [0, 1, 2].flatMap((node) => ["a", "b", "c", "d"].map((letter) => `${letter}${node}`));
  const jobs = [0, 1, 2].map((node) =>
    world.run(node, async (unum) => {
      for (const word of words.filter((each) => each.endsWith(node))) {
        const add = async (body) => {
          await sleep(Math.random() * 1_000);
          return body.split(" ").includes(word) ? body : `${body} ${word}`;
        };
        // A change may fail while things break, and may have happened all the same: adding the word again changes nothing.
        while (
          !(await change(unum, postgres.query, "shared", add).then(
            () => true,
            () => false,
          ))
        )
          await sleep(200);
      }
    }),
  );
  await Promise.all(jobs);
  const { rows } = await postgres.query(seize, [String(2n ** 62n), "shared"]);
  assert.deepEqual(rows[0].body.trim().split(" ").sort(), words.sort());
});
