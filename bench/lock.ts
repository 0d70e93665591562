/**
 * A lock that nobody disputes, taken and given back: Unum's own, etcd's Lock and Unlock calls, and Unum's handle over that etcd and over a
 * ZooKeeper ensemble. With one name at a time, and with a hundred at once. Every cluster has three members. All acknowledgements follow a sync on a majority. Rounds are interleaved.
 */
import { connect as connectHttp2 } from "node:http2";
import type { ClientHttp2Session } from "node:http2";
import { connect } from "unum";
import type { Unum } from "unum";
import { etcdIsInstalled, leaderPort, startEtcd } from "./etcd.ts";
import { grpcFrame, protobufField } from "./h2load.ts";
import { spawn } from "node:child_process";
import { ZooKeeperServer, zookeeperPath } from "../test/support/zookeeper-server.ts";
import { end, median, program, sleep, startUnum } from "./processes.ts";

/** Takes the lock of this name and gives it back. */
type Turn = (name: string) => Promise<void>;

interface Contestant {
  readonly name: string;
  readonly turn: Turn;
  close(): Promise<void>;
}

interface Result {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
}

async function measure(turn: Turn, names: number, seconds: number): Promise<Result> {
  const tookMs: number[] = [];
  const beganMs = performance.now();
  const endMs = beganMs + seconds * 1000;
  await Promise.all(
    Array.from({ length: names }, async (_, at) => {
      for (let nowMs = performance.now(); nowMs < endMs; ) {
        await turn(`bench/lock-${at}`);
        const doneMs = performance.now();
        tookMs.push(doneMs - nowMs);
        nowMs = doneMs;
      }
    }),
  );
  tookMs.sort((a, b) => a - b);
  const at = (share: number): number => tookMs[Math.min(tookMs.length - 1, Math.floor(tookMs.length * share))] ?? 0;
  return { rate: (tookMs.length * 1000) / (performance.now() - beganMs), p50: at(0.5), p99: at(0.99) };
}

const ours =
  (unum: Unum<"lock">): Turn =>
  async (name) =>
    (await unum.lock(name).acquire()).close();

function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = BigInt(value);
  for (; left > 127n; left >>= 7n) bytes.push(Number(left & 127n) | 128);
  return [...bytes, Number(left)];
}

/** One gRPC call, as bytes; its answer's fields that are byte strings, by number, and varints as bigint. */
async function call(session: ClientHttp2Session, path: string, message: Uint8Array): Promise<Map<number, Buffer | bigint>> {
  const stream = session.request({ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" });
  let failure: string | undefined;
  stream.on("trailers", (fields) => {
    if (fields["grpc-status"] !== "0") failure = `${String(fields["grpc-status"])}: ${String(fields["grpc-message"])}`;
  });
  stream.end(grpcFrame(message));
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  if (failure !== undefined) throw new Error(`${path}: ${failure}`);
  const bytes = Buffer.concat(chunks).subarray(5);
  const fields = new Map<number, Buffer | bigint>();
  for (let at = 0; at < bytes.length; ) {
    const number = (): bigint => {
      let value = 0n;
      for (let shift = 0n; ; shift += 7n) {
        const byte = bytes[at++] as number;
        value |= BigInt(byte & 127) << shift;
        if (byte < 128) return value;
      }
    };
    const tag = Number(number());
    if (tag % 8 === 0) fields.set(tag >> 3, number());
    else {
      const length = Number(number());
      fields.set(tag >> 3, bytes.subarray(at, at + length));
      at += length;
    }
  }
  return fields;
}

async function etcdLock(port: number): Promise<Contestant> {
  const session = connectHttp2(`http://127.0.0.1:${port}`);
  const lease = (await call(session, "/etcdserverpb.Lease/LeaseGrant", Uint8Array.of(8, ...varint(600)))).get(2) as bigint;
  const leaseField: number[] = [16];
  let left = lease;
  for (; left > 127n; left >>= 7n) leaseField.push(Number(left & 127n) | 128);
  leaseField.push(Number(left));
  return {
    name: "etcd's Lock and Unlock",
    turn: async (name) => {
      const request = Buffer.concat([protobufField(1, Buffer.from(name)), Buffer.from(leaseField)]);
      const key = (await call(session, "/v3lockpb.Lock/Lock", request)).get(2) as Buffer;
      await call(session, "/v3lockpb.Lock/Unlock", protobufField(1, key));
    },
    close: () => Promise.resolve(session.destroy()),
  };
}

const ttlMs = 3_000;

/** Milliseconds from the kill of a process that holds a lock until somebody who waits has it. */
async function killed(unum: Unum<"lock">, endpoint: string): Promise<number> {
  const name = "bench/killed";
  const command = [
    "lock",
    "--ttl",
    `${ttlMs}ms`,
    "--endpoint",
    endpoint,
    name,
    "--",
    process.execPath,
    "-e",
    "setTimeout(() => {}, 60000)",
  ];
  const holder = spawn(process.execPath, [program, ...command], { stdio: "ignore" });
  try {
    for (let free = await unum.lock(name).tryAcquire(); free !== undefined; free = await unum.lock(name).tryAcquire()) {
      await free.close();
      if (holder.exitCode !== null) throw new Error("the holder has ended by itself");
      await sleep(100);
    }
    const waiting = unum.lock(name).acquire();
    await sleep(500);
    const killedMs = performance.now();
    await end(holder);
    const claim = await waiting;
    const tookMs = performance.now() - killedMs;
    await claim.close();
    return tookMs;
  } finally {
    await end(holder).catch(() => undefined);
  }
}

export async function lock(rounds: number, seconds: number): Promise<void> {
  const cluster = await startUnum();
  const unum = await connect(cluster.endpoints);
  const etcd = etcdIsInstalled() ? await startEtcd() : undefined;
  const zookeeper = zookeeperPath === undefined ? [] : await ZooKeeperServer.openEnsemble(3, { java: ["-Xmx512m"], tickMs: 2_000 });
  const contestants: Contestant[] = [{ name: "Unum", turn: ours(unum), close: () => unum.close() }];
  try {
    await unum.ready;
    if (etcd !== undefined) {
      const port = await leaderPort(etcd.ports);
      contestants.push(await etcdLock(port));
      const over = await connect(`etcd://127.0.0.1:${port}`);
      contestants.push({ name: "Unum's handle over etcd", turn: ours(over), close: () => over.close() });
    }
    if (zookeeper.length > 0) {
      const over = await connect(`zookeeper://${zookeeper.map(({ address }) => address).join(",")}`);
      contestants.push({ name: "Unum's handle over ZooKeeper", turn: ours(over), close: () => over.close() });
    } else console.log("no ZooKeeper with its Java here: it is left out");
    for (const names of [1, 100]) {
      const results = new Map<string, Result[]>(contestants.map(({ name }) => [name, []]));
      for (const { turn } of contestants) await measure(turn, names, seconds / 4);
      for (let round = 0; round < rounds; round++)
        for (const { name, turn } of contestants) results.get(name)?.push(await measure(turn, names, seconds));
      console.log(`${names === 1 ? "one name" : `${names} names at once`}, acquire and release:`);
      for (const [name, all] of results) {
        const of = (take: (result: Result) => number): number => median(all.map(take));
        console.log(
          `  ${name.padEnd(28)} ${of(({ rate }) => rate)
            .toFixed(0)
            .padStart(
              6,
            )}/s   p50 ${of(({ p50 }) => p50).toFixed(2)} ms, p99 ${of(({ p99 }) => p99).toFixed(2)} ms   [${all.map(({ rate }) => rate.toFixed(0)).join(" ")}]`,
        );
      }
    }
    const passed: number[] = [];
    for (let kill = 0; kill < rounds; kill++) passed.push(await killed(unum, cluster.nodes[0]?.address ?? ""));
    console.log(
      `holder's process killed ${rounds} times, ttl ${ttlMs} ms: the next has it after ${median(passed).toFixed(0)} ms, at most ${Math.max(...passed).toFixed(0)} ms   [${passed.map((ms) => ms.toFixed(0)).join(" ")}]`,
    );
  } finally {
    for (const { close } of contestants) await close();
    await etcd?.close();
    for (const server of zookeeper) await server.close();
    await cluster.close();
  }
}
