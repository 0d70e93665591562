import { start } from "unum";

// Start it on each machine: node service.js NAME DATA-DIRECTORY LISTEN SEED,SEED,…
const [name, data, listen, seeds] = process.argv.slice(2);
const unum = await start({ name, data, listen, seeds: seeds.split(",") });

const leading = unum.election("leader").run(
  async (claim) => {
    console.log(`${name} leads under fence ${claim.fence}`);
    while (claim.held) {
      // What only the leader may do. The fence refuses it to one that was paused and does not know of its successor.
      await unum.kv.update("steps", (steps) => ({ count: (steps?.count ?? 0) + 1, by: name, fence: claim.fence }), { fence: claim });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  },
  { ttl: "3s", data: { name }, onError: (error) => console.error(`${name}: ${error.code ?? error}`) },
);

process.once("SIGTERM", async () => {
  await leading.close();
  await unum.close();
});
