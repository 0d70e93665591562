/**
 * `npm run bench [-- throughput|failover|idle|million|isolation …]`: Unum, and etcd beside it where it is
 * installed, on one machine in one run. Three servers and the client share the cores; values have
 * 256 bytes; every acknowledgement follows a sync on a majority. Rounds are interleaved and medians
 * quoted; the machine's noise shows in the spread, which is printed where it matters. Expect other
 * absolute figures elsewhere: the ratios are what carries over.
 */
import { cpus } from "node:os";
import { failover } from "./failover.ts";
import { idle, million } from "./footprint.ts";
import { isolation } from "./isolation.ts";
import { throughput } from "./throughput.ts";

const parts: Readonly<Record<string, () => Promise<void>>> = {
  throughput: () => throughput(3, 5),
  failover: () => failover(10),
  idle: () => idle(20),
  million: () => million(1_000_000),
  isolation: () => isolation(3, 2),
};

const wanted = process.argv.slice(2);
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
  await part();
}
