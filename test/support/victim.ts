/** One node with an etcd gateway and little memory, for tests that send it what nobody should. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";
import { Prng } from "../../src/base/index.ts";
import { KV } from "../../src/etcd/index.ts";
import { TestClient } from "../../src/gateway/etcd/testing/client.contract.ts";
import { freePort } from "./ports.ts";

const MiB = 1024 * 1024;
const program = fileURLToPath(new URL("../../bin/unum.js", import.meta.url));

/** What the node may have for its state, history and log; its JavaScript heap; and what all that is bounded comes to. */
const budgetMiB = 384;
const heapMiB = 512;
/**
 * Resident memory that nothing may push it beyond. Outside of the heap lie values and history (half of the budget at most: the other half counts
 * what lies in the heap), answers that wait for their readers (256 MiB), requests that are not whole (128 MiB), and what a bare process of Node takes (100 MiB).
 */
const residentMiBMax = heapMiB + budgetMiB / 2 + 256 + 128 + 100;

/** `UNUM_TEST_SEED` repeats a run. */
export const fuzzSeed: string = process.env["UNUM_TEST_SEED"] ?? String(Date.now() % 1_000_000);

export class Victim {
  readonly port: number;
  readonly prng: Prng = new Prng(fuzzSeed);
  private readonly child: ChildProcess;
  private readonly folder: string;
  private readonly log: string[] = [];
  private puts = 0;

  private constructor(folder: string, port: number) {
    this.folder = folder;
    this.port = port;
    const options = ["--listen", "127.0.0.1:0", "--etcd", `127.0.0.1:${port}`, "--memory", `${budgetMiB}MiB`];
    this.child = spawn(
      process.execPath,
      [`--max-old-space-size=${heapMiB}`, program, "start", "--data", join(folder, "data"), ...options],
      {
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.log.push(text);
      if (this.log.length > 200) this.log.splice(0, 100);
    });
  }

  static async start(): Promise<Victim> {
    console.info(`bad input: UNUM_TEST_SEED=${fuzzSeed}`);
    const victim = new Victim(mkdtempSync(join(tmpdir(), "unum-victim-")), await freePort());
    const end = performance.now() + 30_000;
    while (!(await victim.text("/health")).includes('"health":"true"')) {
      if (performance.now() > end) throw new Error(`it does not start: ${victim.log.join("")}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return victim;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Resident memory now, in bytes. */
  async residentBytes(): Promise<number> {
    const metrics = await this.text("/metrics");
    return Number(/^process_resident_memory_bytes (\S+)$/m.exec(metrics)?.[1] ?? Number.NaN);
  }

  /** The most that it ever had, where the system tells (Linux); elsewhere what it has now. */
  async residentBytesMost(): Promise<number> {
    try {
      const status = readFileSync(`/proc/${this.child.pid}/status`, "utf8");
      return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
    } catch {
      return this.residentBytes();
    }
  }

  /** It is up, takes a put of a client that does nothing wrong, and has kept within its memory. */
  async goesOn(): Promise<void> {
    expect(this.isRunning, this.log.join("")).toBe(true);
    await this.put();
    expect((await this.residentBytesMost()) / MiB, "resident memory, in MiB").toBeLessThan(residentMiBMax);
  }

  /** A put on a connection of its own; returns how long it took, in milliseconds. */
  async put(msMax = 15_000): Promise<number> {
    const client = new TestClient(this.port);
    const begin = performance.now();
    const value = Uint8Array.of(this.puts++ & 255);
    const fields = { "grpc-timeout": `${msMax}m` };
    try {
      await client.call(KV.method.put, { key: Buffer.from("alive"), value }, fields);
      const read = await client.call(KV.method.range, { key: Buffer.from("alive") }, fields);
      expect(read.kvs[0]?.value).toEqual(value);
    } catch (error) {
      throw new Error(`a put is not answered: ${String(error)}\n${this.log.join("")}`, { cause: error });
    } finally {
      client.close();
    }
    return performance.now() - begin;
  }

  async close(): Promise<void> {
    if (this.isRunning) {
      console.info(`bad input: at most ${Math.round((await this.residentBytesMost()) / MiB)} of ${residentMiBMax} MiB were resident`);
      const ended = once(this.child, "exit");
      this.child.kill("SIGKILL");
      await ended;
    }
    rmSync(this.folder, { recursive: true, force: true });
  }

  private text(path: string): Promise<string> {
    return fetch(`http://127.0.0.1:${this.port}${path}`, { signal: AbortSignal.timeout(10_000) }).then(
      (response) => response.text(),
      () => "",
    );
  }
}
