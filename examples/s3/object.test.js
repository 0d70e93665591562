// node --test examples/s3/object.test.js
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { simTest } from "unum/testing";
import { change } from "./object.js";

/** No S3: a stand-in with one object and conditional writes, each of them atomic. */
function standIn() {
  const object = { body: "", fence: 0, version: 0 };
  const etag = () => (object.version === 0 ? undefined : `"${object.version}"`);
  return {
    get: () => ({ body: object.body, fence: object.fence, etag: etag() }),
    put(body, fence, expected) {
      // null is what undefined becomes on its way.
      if ((expected ?? undefined) !== etag()) return undefined;
      Object.assign(object, { body, fence, version: object.version + 1 });
      return etag();
    },
  };
}

simTest("no change of the object is lost, whoever stands still", { seeds: 15, faults: "swarm", timeoutMs: 120_000 }, async (world) => {
  const s3 = world.external("s3", standIn());
  let editing;
  const words = [0, 1, 2].flatMap((node) => ["a", "b", "c", "d"].map((letter) => `${letter}${node}`));
  const jobs = [0, 1, 2].map((node) =>
    world.run(node, async (unum) => {
      for (const word of words.filter((each) => each.endsWith(node))) {
        const add = async (body) => {
          editing = node;
          await sleep(Math.random() * 1_000);
          return body.split(" ").includes(word) ? body : `${body} ${word}`;
        };
        // A change may fail while things break, and may have happened all the same: adding the word again changes nothing.
        while (
          !(await change(unum, "shared", s3, add).then(
            () => true,
            () => false,
          ))
        )
          await sleep(200);
      }
    }),
  );
  // The swarm's own pauses rarely hit who holds the lock, nor last as long as a claim lives: these do.
  for (let round = 0; round < 2; round++) {
    editing = undefined;
    while (editing === undefined) await sleep(20);
    world.pause(editing, "20s");
  }
  await Promise.all(jobs);
  const { body } = await s3.get();
  assert.deepEqual(body.trim().split(" ").sort(), words.sort());
});
