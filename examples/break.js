/**
 * Runs five replicas of an example and breaks them: kill -9 and SIGSTOP, at most two at a time, for as long as you say.
 *
 *     node examples/break.js billing-cron --minutes 10 --seed 1
 *     node examples/break.js leader --minutes 10 --seed 1
 *
 * At the end it prints what was promised and what happened, as a table. Exit code 1 when a promise was broken.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect } from "unum";

const count = 5;
const [example = "", ...flags] = process.argv.slice(2);
const flag = (name, otherwise) => (flags.includes(name) ? Number(flags[flags.indexOf(name) + 1]) : otherwise);
const minutes = flag("--minutes", 1);
const seed = flag("--seed", 1);
const judges = { "billing-cron": judgeBilling, leader: judgeLeader };
if (judges[example] === undefined || !(minutes > 0) || !Number.isInteger(seed)) {
  console.error(`usage: node examples/break.js ${Object.keys(judges).join("|")} [--minutes N] [--seed N]`);
  process.exit(2);
}

/** A small generator, so that a seed names what happens to whom and when (mulberry32). */
let state = seed >>> 0;
function random(below) {
  state = (state + 0x6d2b79f5) >>> 0;
  let mixed = Math.imul(state ^ (state >>> 15), state | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  return port;
}

const folder = mkdtempSync(join(tmpdir(), "unum-example-"));
const addresses = [];
for (let i = 0; i < count; i++) addresses.push(`127.0.0.1:${await freePort()}`);

class Replica {
  constructor(at) {
    this.name = `r${at + 1}`;
    this.address = addresses[at];
    this.disturbed = false;
  }

  start() {
    const program = fileURLToPath(new URL(`${example}/service.js`, import.meta.url));
    const args = [program, this.name, join(folder, this.name), this.address, addresses.join(",")];
    this.child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  }

  async kill(signal = "SIGKILL") {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const gone = once(this.child, "exit");
    this.child.kill(signal);
    await gone;
  }
}

const replicas = Array.from({ length: count }, (_, at) => new Replica(at));
const faults = { "kill -9": 0, SIGSTOP: 0 };

async function disturb(replica) {
  replica.disturbed = true;
  if (random(2) === 0) {
    faults["kill -9"]++;
    await replica.kill();
    await sleep(500 + random(3_000));
    replica.start();
    // It counts as away until it had the time to come back.
    await sleep(2_000);
  } else {
    faults.SIGSTOP++;
    replica.child.kill("SIGSTOP");
    // Shorter and longer than the claim's time of 3 s.
    await sleep(500 + random(8_000));
    replica.child.kill("SIGCONT");
    await sleep(1_000);
  }
  replica.disturbed = false;
}

/** Everything that was written below the prefix, in order: what the fences let through. */
async function follow(unum, prefix, take) {
  const watch = unum.kv.watch({ prefix });
  await watch.started;
  const done = (async () => {
    for await (const { events, revision } of watch) for (const event of events) if (event.kind === "put") take(event.entry, revision);
  })();
  return async () => {
    await watch.close();
    await done;
  };
}

function judgeBilling() {
  const runs = new Map();
  let newest = 0;
  const broken = [];
  return {
    prefix: "bills/",
    take({ key, value }) {
      const [, at, kind] = key.split("/");
      const run = runs.get(at) ?? { done: [], attempts: new Map() };
      runs.set(at, run);
      const { fence } = value;
      if (fence < newest) broken.push(`fence ${fence} wrote after ${newest}: ${key}`);
      newest = Math.max(newest, fence);
      run.attempts.set(fence, value);
      if (kind === "done") run.done.push(value);
    },
    settled: (nowMs) => [...runs].every(([at, run]) => run.done.length > 0 || Date.parse(at) > nowMs),
    report() {
      const ticks = [...runs.keys()].sort();
      const times = ticks.map((at) => Date.parse(at));
      const gaps = times.filter((at, i) => i > 0 && at - times[i - 1] !== 2_000).length;
      const cut = ticks.flatMap((at) =>
        [...runs.get(at).attempts]
          .filter(([fence]) => !runs.get(at).done.some((done) => done.fence === fence))
          .map(([fence, { by, attempt }]) => ({ at, by, attempt, fence })),
      );
      for (const at of ticks) if (runs.get(at).done.length !== 1) broken.push(`${at} has ${runs.get(at).done.length} completed attempts`);
      if (gaps > 0) broken.push(`${gaps} ticks never ran`);
      for (const { at, attempt, by, fence } of cut) console.log(`cut: the run of ${at}, attempt ${attempt} by ${by} under fence ${fence}`);
      return {
        rows: {
          ticks: ticks.length,
          "completed exactly once": ticks.filter((at) => runs.get(at).done.length === 1).length,
          "completed twice": ticks.filter((at) => runs.get(at).done.length > 1).length,
          "never run, or never completed": gaps + ticks.filter((at) => runs.get(at).done.length === 0).length,
          "attempts cut, then repeated": cut.length,
        },
        broken,
      };
    },
  };
}

function judgeLeader() {
  const leaders = new Map();
  const broken = [];
  let newest = 0;
  let steps = 0;
  return {
    prefix: "steps",
    take({ value: { by, count: step, fence } }) {
      if (fence < newest) broken.push(`fence ${fence} wrote after ${newest}`);
      newest = Math.max(newest, fence);
      if ((leaders.get(fence) ?? by) !== by) broken.push(`fence ${fence} was ${leaders.get(fence)}'s and wrote as ${by}`);
      leaders.set(fence, by);
      if (steps > 0 && step !== steps + 1) broken.push(`step ${step} follows ${steps}`);
      steps = step;
    },
    settled: () => steps > 0,
    report: () => ({ rows: { steps, leaders: leaders.size, replicas: new Set(leaders.values()).size }, broken }),
  };
}

let code = 1;
for (const replica of replicas) replica.start();
const unum = await connect(addresses.map((address) => `unum://${address}`));
try {
  await unum.ready;
  const judge = judges[example]();
  const stop = await follow(unum, judge.prefix, (entry) => judge.take(entry));
  const endMs = performance.now() + minutes * 60_000;
  const under = new Set();
  while (performance.now() < endMs) {
    await sleep(300 + random(1_500));
    const calm = replicas.filter((replica) => !replica.disturbed);
    if (count - calm.length >= 2) continue;
    const work = disturb(calm[random(calm.length)]).finally(() => under.delete(work));
    under.add(work);
  }
  await Promise.all(under);
  // What the last fault has cut is repeated within the claim's time.
  const until = Date.now();
  for (let waited = 0; waited < 120 && !judge.settled(until); waited++) await sleep(500);
  await stop();
  const { broken, rows } = judge.report();
  console.log(`\n${example}: five replicas, ${minutes} minutes, seed ${seed}\n`);
  for (const [what, many] of Object.entries({
    ...faults,
    ...rows,
    "writes under an old fence that got through, and other broken promises": broken.length,
  }))
    console.log(`| ${what} | ${many} |`);
  for (const line of broken.slice(0, 20)) console.log(`broken: ${line}`);
  code = broken.length === 0 ? 0 : 1;
} finally {
  await unum.close();
  await Promise.all(
    replicas.map((replica) => {
      replica.child.kill("SIGCONT");
      return replica.kill();
    }),
  );
  rmSync(folder, { recursive: true, force: true });
}
process.exit(code);
