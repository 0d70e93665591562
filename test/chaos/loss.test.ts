import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { Prng } from "#dist/base/index.js";
import { losePower } from "./loss.ts";
import type { DiskOptions } from "./machine/disk.ts";

const built = fileURLToPath(new URL("../../dist/test/chaos/", import.meta.url));
let directory = "";
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function optionsIn(root: string): DiskOptions {
  return { data: join(root, "data"), journal: join(root, "journal"), aside: join(root, "aside"), syncMs: 0 };
}

/** Runs the program until it has said so many lines, and kills it in the middle of whatever it does. */
async function runAndKill(seed: number, lines: number): Promise<string[]> {
  const disk = optionsIn(directory);
  const child = spawn(process.execPath, [join(built, "loss-program.js"), disk.data, String(seed)], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      ...process.env,
      NODE_OPTIONS: `--import ${pathToFileURL(join(built, "machine/preload.js")).href}`,
      UNUM_CHAOS_DISK: JSON.stringify(disk),
    },
  });
  let text = "";
  let count = 0;
  const ended = once(child, "exit");
  child.stdout.setEncoding("utf8").on("data", (piece: string) => {
    text += piece;
    for (const letter of piece) if (letter === "\n") count++;
    if (count > lines) child.kill("SIGKILL");
  });
  await ended;
  // A line that was cut says nothing.
  return text.split("\n").slice(0, -1);
}

interface Expected {
  /** By slot: the writes that may stand there: the last durable one and all behind it. */
  readonly slots: Map<string, Set<number>[]>;
  current: Set<number>;
}

/** What the program's own words promise. */
function expectedOf(said: readonly string[]): Expected {
  const slots = new Map<string, Set<number>[]>();
  const newest = new Map<string, number[]>();
  let current = new Set<number>([0]);
  for (const line of said) {
    const [verb = "", name = "", ...rest] = line.split(" ");
    const [number = 0, first = 0, count = 0] = rest.map(Number);
    if (verb === "create") {
      slots.set(
        name,
        Array.from({ length: 16 }, () => new Set([0])),
      );
      newest.set(name, new Array<number>(16).fill(0));
    } else if (verb === "write") {
      for (let slot = first; slot < first + count; slot++) {
        slots.get(name)?.[slot]?.add(number);
        (newest.get(name) as number[])[slot] = number;
      }
    } else if (verb === "synced")
      slots.set(
        name,
        (newest.get(name) as number[]).map((last) => new Set([last])),
      );
    else if (verb === "rename") current.add(Number(name));
    else if (verb === "renamed") current = new Set([Number(name)]);
  }
  return { slots, current };
}

const numberAt = (bytes: Buffer, slot: number): number => bytes.readDoubleLE(slot * 512);

describe("a disk that loses power", () => {
  it("keeps what was synced, and of the rest what the seed leaves, sector by sector and name by name", { timeout: 60_000 }, async () => {
    let older = 0;
    let newer = 0;
    for (let seed = 1; seed <= 6; seed++) {
      directory = mkdtempSync(join(tmpdir(), "unum-loss-"));
      const said = await runAndKill(seed, 40 + seed * 37);
      const expected = expectedOf(said);
      losePower(optionsIn(directory), new Prng(seed));
      for (const [name, slots] of expected.slots) {
        const bytes = readFileSync(join(directory, "data", name));
        for (const [slot, allowed] of slots.entries()) {
          const found = slot * 512 < bytes.length ? numberAt(bytes, slot) : 0;
          expect([...allowed], `seed ${seed}, slot ${slot} of ${name} after:\n${said.slice(-10).join("\n")}`).toContain(found);
          if (allowed.size > 1 && found === Math.max(...allowed)) newer++;
          else if (allowed.size > 1) older++;
        }
      }
      const path = join(directory, "data", "current");
      const current = existsSync(path) ? numberAt(readFileSync(path), 0) : 0;
      expect([...expected.current], `seed ${seed}: the file that has the name`).toContain(current);
      rmSync(directory, { recursive: true, force: true });
    }
    expect(older, "some unsynced writes are lost").toBeGreaterThan(0);
    expect(newer, "some unsynced writes stay").toBeGreaterThan(0);
  });
});
