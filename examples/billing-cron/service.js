import { start } from "unum";

// Start it on each machine: node service.js NAME DATA-DIRECTORY LISTEN SEED,SEED,…
const [name, data, listen, seeds] = process.argv.slice(2);
const unum = await start({ name, data, listen, seeds: seeds.split(",") });

/** What a run bills. It takes a while, so that a crash can cut it. */
const invoices = Array.from({ length: 5 }, (_, i) => `invoice-${i + 1}`);

const billing = unum.schedule(
  "billing",
  { every: "2s" },
  async ({ at, attempt, claim }) => {
    const run = `bills/${at.toISOString()}`;
    // An attempt may have done everything and died before anybody heard of it: what is done is not done again.
    if ((await unum.kv.get(`${run}/done`)) !== undefined) return;
    for (const invoice of invoices) {
      claim.throwIfLost();
      await new Promise((resolve) => setTimeout(resolve, 100));
      // A run that was cut left some of them paid: they are paid again under a higher fence, and the write says so.
      await unum.kv.put(`${run}/paid/${invoice}`, { by: name, attempt, fence: claim.fence }, { fence: claim });
    }
    // The last statement of a run that nobody took over meanwhile; for anybody else it is FENCED.
    await unum.kv.put(`${run}/done`, { by: name, attempt, fence: claim.fence }, { fence: claim });
  },
  { ttl: "3s", missed: "all", overlap: "wait", interrupted: "retry", onError: (error) => console.error(`${name}: ${error.code ?? error}`) },
);

process.once("SIGTERM", async () => {
  await billing.close();
  await unum.close();
});
