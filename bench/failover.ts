/**
 * The pause of writes when the leader's process is killed: 2,000 puts a second offered, each kill's
 * longest gap between acknowledgements, client included. Default settings.
 */
import { connect } from "unum";
import { end, median, sleep, startUnum } from "./processes.ts";

export async function failover(kills: number): Promise<void> {
  const cluster = await startUnum();
  const handle = await connect(cluster.endpoints);
  let last = performance.now();
  let longest = 0;
  let failed = 0;
  let sent = 0;
  const timer = setInterval(() => {
    for (let i = 0; i < 10; i++) {
      handle.kv.put(`failover/${sent++ % 10_000}`, sent).then(
        () => {
          const now = performance.now();
          longest = Math.max(longest, now - last);
          last = now;
        },
        () => {
          failed++;
        },
      );
    }
  }, 5);
  const pauses: number[] = [];
  try {
    await sleep(1_000);
    for (let kill = 0; kill < kills; kill++) {
      const status = await handle.status();
      const leader = status.groups.find((group) => group.name === "default")?.leader;
      const address = status.members.find((member) => member.node === leader)?.address;
      const node = cluster.nodes.find((candidate) => candidate.address === address);
      if (node === undefined) throw new Error("no leader");
      longest = 0;
      last = performance.now();
      await end(node.child);
      await sleep(2_000);
      pauses.push(longest);
      node.restart();
      await sleep(3_000);
    }
  } finally {
    clearInterval(timer);
    await handle.close();
    await cluster.close();
  }
  console.log(
    `leader killed ${kills} times at 2,000 puts/s: median pause ${median(pauses).toFixed(0)} ms, worst ${Math.max(...pauses).toFixed(0)} ms, ${failed} puts failed   [${pauses.map((pause) => pause.toFixed(0)).join(" ")}]`,
  );
}
