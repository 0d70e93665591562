/** A program of a user that embeds a node, takes a claim, and blocks its own thread or the process's thread pool when it is told to. */
import { scrypt } from "node:crypto";
import { lookup } from "node:dns/promises";
import { promisify } from "node:util";
import { start } from "../../../dist/index.js";

const unum = await start(JSON.parse(process.argv[2]));
await unum.ready;
let claim;

/** What the first statements after a stall see, and what a write under the claim gets. */
async function look() {
  const held = claim.held;
  let thrown;
  try {
    claim.throwIfLost();
  } catch (error) {
    thrown = error.code;
  }
  const written = await unum.kv.put("work", Date.now(), { fence: claim }).then(
    () => "written",
    (error) => error.code,
  );
  return { held, thrown, written };
}

const operations = {
  lock: async () => {
    claim = await unum.lock("job").acquire({ ttl: "2s" });
    return claim.fence;
  },
  block: (ms) => {
    const end = performance.now() + ms;
    while (performance.now() < end);
    return look();
  },
  fillPool: async (ms) => {
    const end = performance.now() + ms;
    const busy = async () => {
      while (performance.now() < end)
        await Promise.all([promisify(scrypt)("a", "b", 64, { N: 2 ** 15, maxmem: 2 ** 26 }), lookup("localhost")]);
    };
    await Promise.all(Array.from({ length: 16 }, busy));
    return look();
  },
  close: () => unum.close(),
};

process.on("message", async ({ op, argument }) => {
  process.send((await operations[op](argument)) ?? null);
  if (op === "close") process.disconnect();
});
process.send("ready");
