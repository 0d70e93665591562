/** The command line as a newcomer uses it: real processes, a directory of their own, no terminal. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort } from "../support/ports.ts";

const program = fileURLToPath(new URL("../../bin/unum.js", import.meta.url));

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

interface DevFile {
  readonly pid: number;
  readonly endpoints: readonly string[];
  readonly nodes: readonly { readonly name: string; readonly pid: number }[];
}

let directory = "";
const children: ChildProcess[] = [];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "unum-cli-"));
});

afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  await rm(directory, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
});

function launch(args: readonly string[], environment: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, [program, ...args], {
    cwd: directory,
    env: { ...process.env, ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  children.push(child);
  return child;
}

async function run(args: readonly string[], input = ""): Promise<Outcome> {
  const child = launch(args);
  let out = "";
  let err = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  child.stdin?.end(input);
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

/** Fulfils with everything printed so far once it matches. */
function printed(child: ChildProcess, pattern: RegExp): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
        if (pattern.test(text)) resolve(text);
      });
    }
    child.once("exit", (code) => reject(new Error(`ended with ${code} before ${pattern}: ${text}`)));
  });
}

async function end(child: ChildProcess, signal: "SIGTERM" | "SIGINT" | "SIGKILL"): Promise<number | null> {
  const exit = once(child, "exit") as Promise<[number | null]>;
  child.kill(signal);
  return (await exit)[0];
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function gone(pids: readonly number[]): Promise<boolean> {
  const deadline = Date.now() + 10_000;
  while (pids.some(alive) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20));
  return !pids.some(alive);
}

async function devFile(): Promise<DevFile> {
  return JSON.parse(await readFile(join(directory, ".unum/dev.json"), "utf8")) as DevFile;
}

describe("unum dev", () => {
  it("serves the other commands, keeps its data, and leaves neither process nor file behind", async () => {
    const port = await freePort();
    const first = launch(["dev", "--port", String(port)]);
    const text = await printed(first, /Ctrl-C stops the nodes/);
    expect(text).toMatch(/unum dev {3}3 nodes, data \.unum\/dev, ready in \d+\.\d s\n/);
    expect(text).not.toContain("\u001b");
    expect(await run(["kv", "put", "greeting", "hello"])).toMatchObject({ code: 0, out: expect.stringMatching(/^revision \d+\n$/) });
    expect(await run(["kv", "get", "greeting"])).toEqual({ code: 0, out: '"hello"\n', err: "" });
    expect((await run(["kv", "get", "nothing"])).code).toBe(1);
    const status = await run(["status"]);
    expect(status.out).toMatch(/^cluster [0-9a-f]{4}…, revision \d+, 3 of 3 voters up, can lose 1 more\n/);
    expect(JSON.parse((await run(["status", "--json"])).out)).toMatchObject({ quorum: true, voters: 3, votersUp: 3 });
    expect(await run(["dev", "--port", String(port)])).toMatchObject({ code: 1, err: expect.stringContaining("DATA_DIR_LOCKED") });
    const pids = (await devFile()).nodes.map((node) => node.pid);
    expect(await end(first, "SIGTERM")).toBe(0);
    expect(pids.some(alive)).toBe(false);
    expect(existsSync(join(directory, ".unum/dev.json"))).toBe(false);

    const second = launch(["dev", "--port", String(port)]);
    await printed(second, /ready in/);
    expect((await run(["kv", "get", "greeting"])).out).toBe('"hello"\n');
    expect(await end(second, "SIGINT")).toBe(0);

    const fresh = launch(["dev", "--port", String(port), "--fresh"]);
    await printed(fresh, /ready in/);
    expect((await run(["kv", "get", "greeting"])).code).toBe(1);
    expect(await end(fresh, "SIGTERM")).toBe(0);
  });

  it("takes the next free ports when its own are taken, says so, and finds the kept data's nodes there", async () => {
    const port = await freePort();
    const before = launch(["dev", "--port", String(port)]);
    await printed(before, /ready in/);
    expect((await run(["kv", "put", "kept", "1"])).code).toBe(0);
    expect(await end(before, "SIGTERM")).toBe(0);
    const blocker = createServer((socket) => socket.on("error", () => socket.destroy()).resume()).listen(port + 1, "127.0.0.1");
    await once(blocker, "listening");
    try {
      const dev = launch(["dev", "--port", String(port)]);
      expect(await printed(dev, /ready in/)).toContain(`ports ${port} to ${port + 2} are not all free; using ${port + 2} to ${port + 4}\n`);
      expect((await run(["kv", "get", "kept"])).out).toBe("1\n");
      expect((await run(["kv", "put", "a", "1"])).out).toMatch(/^revision/);
      expect(await end(dev, "SIGTERM")).toBe(0);
    } finally {
      blocker.close();
    }
  });

  it("leaves no orphan when it is killed", async () => {
    const dev = launch(["dev", "--port", String(await freePort())]);
    await printed(dev, /Ctrl-C stops the nodes/);
    const pids = (await devFile()).nodes.map((node) => node.pid);
    expect(pids.every(alive)).toBe(true);
    await end(dev, "SIGKILL");
    expect(await gone(pids)).toBe(true);
  });
});

describe("unum demo", () => {
  it("loses nothing, in under a minute, and says so as JSON", async () => {
    const began = Date.now();
    const { code, out } = await run(["demo", "--json"]);
    expect(Date.now() - began).toBeLessThan(60_000);
    const report = JSON.parse(out) as Record<string, unknown>;
    expect(report).toMatchObject({ lost: 0, wrong: 0, readsBack: 0, nodes: 3 });
    expect(report["acknowledged"]).toBeGreaterThanOrEqual(20_000);
    expect(report["faults"]).toMatchObject([{ kind: "kill-leader" }, { kind: "kill-all" }]);
    expect(code).toBe(0);
  });
});

describe("the key-value commands", () => {
  it("do what their help says", async () => {
    const dev = launch(["dev", "--nodes", "1", "--port", String(await freePort())]);
    await printed(dev, /Ctrl-C stops the nodes/);
    const watch = launch(["kv", "watch", "--prefix", "flags/", "--limit", "3"]);
    await printed(watch, /watching from revision/);
    const events = printed(watch, /delete\tflags\/a\n/);
    expect((await run(["kv", "put", "flags/a", "-"], '{"on":true}\n')).code).toBe(0);
    expect((await run(["kv", "put", "flags/b", "-", "--raw"], "bytes\n")).code).toBe(0);
    expect((await run(["kv", "get", "flags/b", "--raw"])).out).toBe("bytes\n");
    expect((await run(["kv", "put", "flags/a", "1", "--if-revision", "0"])).err).toContain("CONFLICT");
    expect((await run(["kv", "del", "flags/a"])).out).toMatch(/^deleted 1, revision \d+\n$/);
    expect(await events).toMatch(/\d+\tput\tflags\/a\t{"on":true}\n\d+\tput\tflags\/b\t"bytes\\n"\n\d+\tdelete\tflags\/a\n/);
    const txn = '{"if":[{"key":"t","exists":false}],"do":[{"put":"t","value":[1]},{"get":"t"}],"else":[{"range":{"prefix":"t"}}]}';
    expect((await run(["kv", "txn"], txn)).out).toMatch(/^done, revision \d+\nput\nt\t\[1\]\n$/);
    expect((await run(["kv", "txn"], txn)).out).toMatch(/^comparison failed, revision \d+\nt\t\[1\]\n$/);
    expect(JSON.parse((await run(["kv", "range", "--json"])).out)).toMatchObject({ count: 2, more: false });
    expect((await run(["kv", "put", "k", "v", "--keyspace", "other"])).code).toBe(0);
    expect((await run(["kv", "get", "k", "--keyspace", "other"])).out).toBe('"v"\n');
    expect((await run(["kv", "get", "k"])).code).toBe(1);
    expect((await run(["kv", "del", "--prefix", ""])).code).toBe(2);
    expect((await run(["kv", "del", "--prefix", "", "--yes"])).out).toMatch(/^deleted 2,/);
    expect(await end(dev, "SIGTERM")).toBe(0);
  });

  it("pass a keyspace of several pages in order, and tell nothing of a pipe that is closed early", async () => {
    const dev = launch(["dev", "--nodes", "1", "--port", String(await freePort())]);
    await printed(dev, /Ctrl-C stops the nodes/);
    for (let batch = 0; batch < 25; batch++) {
      const puts = Array.from({ length: 100 }, (_, at) => ({ put: `k${String(batch * 100 + at).padStart(5, "0")}`, value: at }));
      await writeFile(join(directory, "txn.json"), JSON.stringify({ do: puts }));
      expect((await run(["kv", "txn", "txn.json"])).code).toBe(0);
    }
    const keys = (await run(["kv", "range", "--keys"])).out.trimEnd().split("\n");
    expect(keys.length).toBe(2500);
    expect(keys).toEqual([...keys].sort());
    expect(JSON.parse((await run(["kv", "range", "--json", "--limit", "1500"])).out)).toMatchObject({ count: 2500, more: true });
    const cut = launch(["kv", "range"]);
    cut.stdout?.destroy();
    const [code] = (await once(cut, "exit")) as [number | null];
    expect(code).toBe(0);
    expect(await end(dev, "SIGTERM")).toBe(0);
  });
});

describe("unum bench", () => {
  it("starts a cluster of its own, measures, and removes it", async () => {
    for (const kind of ["put", "get", "mixed", "watch"]) {
      const { code, out } = await run(["bench", kind, "--nodes", "1", "--seconds", "1", "--keys", "500", "--json"]);
      expect(code).toBe(0);
      const report = JSON.parse(out) as Record<string, number>;
      expect(report["errors"]).toBe(0);
      for (const field of ["opsPerSecond", "p50Ms", "p99Ms", "maxMs"]) expect(report[field]).toBeGreaterThan(0);
    }
  });
});

describe("unum start", () => {
  it("says why a second process on one data directory fails, and exits 1", async () => {
    const first = launch(["start", "--data", "d", "--listen", `127.0.0.1:${await freePort()}`]);
    await printed(first, /listening/);
    const second = await run(["start", "--data", "d", "--listen", `127.0.0.1:${await freePort()}`]);
    expect(second).toMatchObject({ code: 1, out: "", err: expect.stringMatching(new RegExp(`DATA_DIR_LOCKED.*${first.pid}`)) });
    expect(await end(first, "SIGTERM")).toBe(0);
  });
});
