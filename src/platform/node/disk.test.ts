import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { scrypt } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { diskContract } from "../../ports/disk.contract.ts";
import { DiskError } from "../../ports/index.ts";
import { NodeDisk } from "./disk.ts";

const built = fileURLToPath(new URL("../../../dist/platform/node/disk.js", import.meta.url));
const directories: string[] = [];

async function temporary(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "unum-disk-"));
  directories.push(directory);
  return directory;
}

afterEach(async () => {
  for (const directory of directories.splice(0)) await rm(directory, { recursive: true, force: true });
});

diskContract("NodeDisk", async () => {
  const directory = await temporary();
  return { disk: await NodeDisk.open(directory), another: () => NodeDisk.open(directory), until: (promise) => promise };
});

/** A process that runs the build's disk, told what to do by a line of code. */
function child(directory: string, code: string): ReturnType<typeof spawn> {
  const program = `import { NodeDisk } from ${JSON.stringify(built)}; const disk = await NodeDisk.open(${JSON.stringify(directory)}); ${code}`;
  return spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["ignore", "pipe", "inherit"] });
}

function line(process: ReturnType<typeof spawn>): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    process.stdout?.on("data", (bytes: Buffer) => {
      text += bytes.toString();
      if (text.includes("\n")) resolve(text.trim());
    });
    process.once("exit", (code) => resolve(`exit ${code}`));
  });
}

describe("NodeDisk", () => {
  it("has its thread built (npm run build)", () => expect(existsSync(built)).toBe(true));

  it("P6: writes its log while the process's thread pool is full", async () => {
    const disk = await NodeDisk.open(await temporary());
    const file = await disk.open("a", { create: true, lane: "log" });
    let busy = 16;
    const all = Array.from(
      { length: busy },
      () => new Promise<void>((resolve) => scrypt("p", "s", 64, { N: 16384, maxmem: 64 * 1024 * 1024 }, () => resolve(void busy--))),
    );
    for (let i = 0; i < 10; i++) await file.writeAt(i * 4096, [new Uint8Array(4096).fill(i)], { sync: true });
    expect(busy).toBeGreaterThan(0);
    await Promise.all(all);
    await file.close();
  });

  it("lets its lock go when the holder is killed with -9, and names the holder's pid before", async () => {
    const directory = await temporary();
    const holder = child(directory, `await disk.lock("LOCK"); console.log("held"); setInterval(() => {}, 1000);`);
    expect(await line(holder)).toBe("held");
    const disk = await NodeDisk.open(directory);
    await expect(disk.lock("LOCK")).rejects.toMatchObject({ code: "locked", pid: holder.pid });
    const gone = new Promise((resolve) => holder.once("exit", resolve));
    holder.kill("SIGKILL");
    await gone;
    const lock = await disk.lock("LOCK");
    expect(await readFile(join(directory, "LOCK"), "utf8")).toBe(`${process.pid}\n`);
    await lock.release();
  });

  it("gives the lock to exactly one of many processes that start at once on a dead holder's directory", async () => {
    const directory = await temporary();
    const first = child(directory, `await disk.lock("LOCK"); console.log("held"); process.kill(process.pid, "SIGKILL");`);
    await line(first);
    const code = `try { await disk.lock("LOCK"); console.log("held"); setInterval(() => {}, 1000); } catch (error) { console.log(error.code); }`;
    const all = Array.from({ length: 5 }, () => child(directory, code));
    const said = await Promise.all(all.map(line));
    for (const one of all) one.kill("SIGKILL");
    expect(said.sort()).toEqual(["held", "locked", "locked", "locked", "locked"]);
  });

  it("says closed or missing by name, and io for the rest", async () => {
    const directory = await temporary();
    const disk = await NodeDisk.open(directory);
    await writeFile(join(directory, "plain"), "x");
    await expect(disk.open("plain/below", { create: true, lane: "log" })).rejects.toBeInstanceOf(DiskError);
    await expect(disk.open("plain/below", { create: true, lane: "bulk" })).rejects.toMatchObject({ code: "io" });
    await expect(disk.open("absent/below", { create: true, lane: "log" })).rejects.toMatchObject({ code: "missing" });
  });

  it("keeps no process alive once its files are closed, nor when they are open and idle", async () => {
    const directory = await temporary();
    const write = `const file = await disk.open("a", { create: true, lane: "log" }); await file.writeAt(0, [new Uint8Array(100)], { sync: true });`;
    expect(await exitOf(child(directory, `${write} await file.close();`))).toBe(0);
    expect(await exitOf(child(directory, write))).toBe(0);
  });

  it("keeps the process alive while a write is under way", async () => {
    const directory = await temporary();
    const code = `const file = await disk.open("a", { create: true, lane: "log" }); file.writeAt(0, [new Uint8Array(8e6)], { sync: true }).then(() => console.log("written"));`;
    expect(await line(child(directory, code))).toBe("written");
  });

  it("starts its thread again when a file is opened after the last was closed", async () => {
    const disk = await NodeDisk.open(await temporary());
    for (let i = 0; i < 3; i++) {
      const file = await disk.open("a", { create: true, lane: "log" });
      await file.writeAt(i, [new Uint8Array([i])], { sync: true });
      await file.close();
    }
    const file = await disk.open("a", { create: false, lane: "log" });
    expect(await file.readAt(0, 9)).toEqual(new Uint8Array([0, 1, 2]));
    await file.close();
  });
});

function exitOf(process: ReturnType<typeof spawn>): Promise<number | null> {
  return new Promise((resolve) => process.once("exit", resolve));
}
