import { expect, it } from "vitest";
import { Prng } from "../base/index.ts";
import { Agreement } from "./check/index.ts";
import { Cluster } from "./cluster.ts";
import { installGuards } from "./guards.ts";
import { drawPlan } from "./nemesis.ts";
import { whoWaits } from "./waiting.ts";
import { Witness } from "./witness.ts";
import { SimWorld } from "./world.ts";

it("says who waits for what: which nodes are away, whose votes are missing, which copies lag", async () => {
  const world = new SimWorld(1);
  const violation = (text: string): void => expect.unreachable(text);
  const plan = { ...drawPlan(new Prng(1), "calm"), nodes: 3 };
  const cluster = new Cluster(world, {
    plan,
    agreement: new Agreement(),
    witness: new Witness({ violation }),
    violation,
  });
  expect(whoWaits(cluster).slice(-1)).toEqual(["group 1 exists nowhere: the cluster has not formed, or no node that runs has a copy"]);
  const removeGuards = installGuards();
  try {
    cluster.start();
    await world.scheduler.until(() => cluster.isSettled());
    // Once a round a leader counts anew who answers, and for a moment nobody has.
    await world.scheduler.until(() => whoWaits(cluster).length === 0, 2_000);
    const [first, second] = cluster.live().filter((member) => member !== cluster.leader());
    if (first === undefined || second === undefined) return expect.unreachable("there are two followers");
    cluster.crash(first, "process");
    await world.scheduler.run(3_000);
    expect(whoWaits(cluster)).toContainEqual(`${first.name} is down: nothing runs there`);
    expect(whoWaits(cluster).join("\n")).toMatch(
      new RegExp(
        `the leader of group 1, replica . on n. .*, waits for replica . on ${first.name} \\(not running\\): has .*, does not answer`,
      ),
    );
    cluster.crash(second, "power");
    await world.scheduler.run(10_000);
    expect(whoWaits(cluster).join("\n")).toMatch(
      /group 1 waits for a leader: votes are needed from 2 of .*\(pre-candidate, term \d+, last \d+\).*\(not running\)/,
    );
  } finally {
    removeGuards();
  }
});
