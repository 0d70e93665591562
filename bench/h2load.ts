/** Fixed requests through h2load, whose client costs little: the same generator for whoever speaks etcd's protocol. */
import { spawnSync } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./processes.ts";

export interface Rate {
  readonly perSecond: number;
  /** Of a request, from its being sent to its answer. */
  readonly meanMs: number;
}

/** How much: streams of each connection are requests in flight at the same time. */
export interface Load {
  readonly connections: number;
  readonly streams: number;
  readonly requests: number;
}

/** One `Put` and one `Range` of the same key, each in a file that h2load sends again and again. */
export interface FixedRequests {
  put(port: number, load: Load): Promise<Rate>;
  get(port: number, load: Load): Promise<Rate>;
}

export function h2loadIsInstalled(): boolean {
  return spawnSync("h2load", ["--version"]).status === 0;
}

/** A field of bytes as protobuf has it. */
export function protobufField(number: number, bytes: Uint8Array): Buffer {
  const length = bytes.length < 128 ? [bytes.length] : [(bytes.length & 127) | 128, bytes.length >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), bytes]);
}

/** A message as gRPC frames it. */
export function grpcFrame(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

export function putRequest(key: string, valueBytes: number): Buffer {
  return grpcFrame(Buffer.concat([protobufField(1, Buffer.from(key)), protobufField(2, Buffer.alloc(valueBytes, 120))]));
}

export async function fixedRequests(folder: string, valueBytes: number): Promise<FixedRequests> {
  const key = "bench-00";
  const putBody = join(folder, "put.bin");
  const getBody = join(folder, "get.bin");
  await writeFile(putBody, putRequest(key, valueBytes));
  await writeFile(getBody, grpcFrame(protobufField(1, Buffer.from(key))));
  return { put: (port, load) => h2load(port, "Put", putBody, load), get: (port, load) => h2load(port, "Range", getBody, load) };
}

async function h2load(port: number, method: string, body: string, { connections, streams, requests }: Load): Promise<Rate> {
  const counts = ["-c", String(connections), "-m", String(streams), "-n", String(requests)];
  const heads = ["-H", "content-type: application/grpc", "-H", "te: trailers"];
  const url = `http://127.0.0.1:${port}/etcdserverpb.KV/${method}`;
  const output = await run("h2load", [...counts, "-d", body, ...heads, url]);
  const perSecond = Number(/finished in [^,]+, ([\d.]+) req\/s/.exec(output)?.[1]);
  const mean = /time for request:\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)/.exec(output);
  const unit = mean?.[2] === "us" ? 0.001 : mean?.[2] === "s" ? 1000 : 1;
  if (!Number.isFinite(perSecond) || !/ 0 failed, 0 errored/.test(output)) throw new Error(`h2load: ${output}`);
  return { perSecond, meanMs: Number(mean?.[1]) * unit };
}
