/**
 * `npm run bench [-- throughput|etcd|failover|idle|million|lock|isolation …]`: Unum, and etcd beside it where it is
 * installed, on one machine in one run: `throughput` with each one's own clients, `etcd` with the same
 * clients for both, through Unum's etcd gateway. Three servers and the client share the cores; values
 * have 256 bytes; every acknowledgement follows a sync on a majority. Rounds are interleaved and medians
 * quoted; the machine's noise shows in the spread, which is printed where it matters. Expect other
 * absolute figures elsewhere: the ratios are what carries over. `--quick` is a rehearsal of seconds.
 */
import { cpus } from "node:os";
import { failover } from "./failover.ts";
import { idle, million } from "./footprint.ts";
import { gateway } from "./gateway.ts";
import { isolation } from "./isolation.ts";
import { lock } from "./lock.ts";
import { throughput } from "./throughput.ts";

/** With `quick` a part shows that it works; its figures mean little. */
const parts: Readonly<Record<string, (quick: boolean) => Promise<void>>> = {
  throughput: (quick) => (quick ? throughput(1, 1) : throughput(3, 5)),
  etcd: (quick) => gateway(quick ? quickGateway : wholeGateway),
  failover: (quick) => failover(quick ? 1 : 10),
  idle: (quick) => idle(quick ? 3 : 20),
  million: (quick) => million(quick ? 20_000 : 1_000_000),
  lock: (quick) => (quick ? lock(1, 1) : lock(5, 3)),
  isolation: (quick) => (quick ? isolation(1, 1) : isolation(3, 2)),
};
const wholeGateway = { rounds: 5, requests: 100_000, watchers: 10_000, puts: 200 };
const quickGateway = { rounds: 1, requests: 5_000, watchers: 500, puts: 50 };

const quick = process.argv.includes("--quick");
const wanted = process.argv.slice(2).filter((word) => word !== "--quick");
const names = wanted.length > 0 ? wanted : Object.keys(parts);
console.log(
  `node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim() ?? "unknown processor"}, ${new Date().toISOString().slice(0, 10)}`,
);
for (const name of names) {
  const part = parts[name];
  if (part === undefined) {
    console.error(`unknown part "${name}"; there are ${Object.keys(parts).join(", ")}`);
    process.exit(2);
  }
  console.log(`\n${name}`);
  await part(quick);
}
