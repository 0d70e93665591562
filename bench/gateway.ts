/**
 * etcd's protocol at three nodes of Unum and at a three-member etcd, interleaved in one run. h2load sends one fixed request on
 * 50 connections with 20 streams each; 10,000 watches of one prefix are on 50 connections. All of it goes to the leader.
 */
import { rm } from "node:fs/promises";
import { etcdIsInstalled, leaderPort, startEtcd } from "./etcd.ts";
import { fixedRequests, h2loadIsInstalled } from "./h2load.ts";
import { median, startUnum, temporaryFolder } from "./processes.ts";
import { Watchers } from "./watchers.ts";

export interface GatewaySize {
  readonly rounds: number;
  readonly requests: number;
  readonly watchers: number;
  /** Writes that all watches are told of. */
  readonly puts: number;
}

const valueBytes = 256;
const connections = 50;
const streams = 20;
/** Writes in flight while watches are told: enough that they never wait for the writer. */
const inflight = 4;

interface Measure {
  readonly name: string;
  readonly unit: string;
  run(port: number): Promise<number>;
}

async function watched(port: number, { watchers, puts }: GatewaySize): Promise<number> {
  const all = await Watchers.open(port, "watched/", watchers, connections);
  try {
    return await all.deliver("watched/1", valueBytes, puts, inflight);
  } finally {
    all.close();
  }
}

export async function gateway(size: GatewaySize): Promise<void> {
  if (!etcdIsInstalled() || !h2loadIsInstalled()) {
    console.log("skipped: needs etcd and h2load (Debian: etcd-server, nghttp2-client)");
    return;
  }
  const folder = await temporaryFolder();
  const fixed = await fixedRequests(folder, valueBytes);
  const load = { connections, streams, requests: size.requests };
  const measures: readonly Measure[] = [
    { name: "put", unit: "puts/s", run: async (port) => (await fixed.put(port, load)).perSecond },
    { name: "linearizable range", unit: "ranges/s", run: async (port) => (await fixed.get(port, load)).perSecond },
    { name: `${size.watchers} watchers`, unit: "events/s", run: (port) => watched(port, size) },
  ];
  const etcd = await startEtcd();
  const unum = await startUnum(3, { etcd: true }).catch(async (error: unknown) => {
    await etcd.close();
    throw error;
  });
  try {
    console.log(
      `etcd ${etcd.version} beside Unum; ${connections} connections × ${streams} streams, ${valueBytes} bytes, ${size.rounds} rounds`,
    );
    console.log(`${" ".repeat(22)}${"unum (least … most)".padEnd(48)}${"etcd (least … most)".padEnd(48)}ratio`);
    for (const measure of measures) {
      const ours: number[] = [];
      const theirs: number[] = [];
      for (let round = 0; round < size.rounds; round++) {
        ours.push(await measure.run(await leaderPort(unum.etcdPorts)));
        theirs.push(await measure.run(await leaderPort(etcd.ports)));
      }
      console.log(
        `${measure.name.padEnd(22)}${shown(ours, measure.unit)}${shown(theirs, measure.unit)}${(median(ours) / median(theirs)).toFixed(2)} ×`,
      );
    }
  } finally {
    await unum.close();
    await etcd.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function shown(values: readonly number[], unit: string): string {
  const number = (value: number): string => Math.round(value).toLocaleString("en");
  return `${number(median(values))} ${unit} (${number(Math.min(...values))} … ${number(Math.max(...values))})`.padEnd(48);
}
