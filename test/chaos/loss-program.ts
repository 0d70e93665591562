/**
 * What `loss.test.ts` kills: changes files through the platform's own disk, one after the other, and prints each
 * change before it begins it and when it is durable.
 */
import { Prng } from "#dist/base/index.js";
import { NodeDisk } from "#dist/platform/node/index.js";
import type { File } from "#dist/ports/index.js";

const [directory = "", seed = "1"] = process.argv.slice(2);
const prng = new Prng(`loss program ${seed}`);
const disk = await NodeDisk.open(directory);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** Slots of a sector, each filled with the number of the write that filled it last. */
const slots = 16;
const slotBytes = 512;

async function create(name: string, lane: "bulk" | "log"): Promise<File> {
  say(`create ${name}`);
  const file = await disk.open(name, { create: true, lane });
  await file.writeAt(0, [new Uint8Array(slots * slotBytes)], { sync: true });
  await disk.syncDirectory("");
  say(`created ${name}`);
  return file;
}

const files = new Map([
  ["bulk", await create("bulk", "bulk")],
  ["log", await create("log", "log")],
]);

for (let number = 1; ; number++) {
  const name = prng.pick(["bulk", "log"]);
  const file = files.get(name) as File;
  const what = prng.below(10);
  if (what < 7) {
    const first = prng.below(slots);
    const count = prng.between(1, slots - first);
    const bytes = new Uint8Array(count * slotBytes);
    new Float64Array(bytes.buffer).fill(number);
    const sync = prng.chance(1, 4);
    say(`write ${name} ${number} ${first} ${count}`);
    await file.writeAt(first * slotBytes, [bytes], { sync });
    if (sync) say(`synced ${name} ${number}`);
  } else if (what < 8) {
    await file.sync();
    say(`synced ${name} ${number}`);
  } else {
    // A file of its own: made, synced, given its lasting name, and perhaps that made durable, too.
    const made = await disk.open("next", { create: true, lane: "bulk" });
    const bytes = new Uint8Array(slotBytes);
    new Float64Array(bytes.buffer).fill(number);
    await made.writeAt(0, [bytes], { sync: true });
    await made.close();
    say(`rename ${number}`);
    await disk.rename("next", "current");
    if (prng.chance(1, 2)) {
      await disk.syncDirectory("");
      say(`renamed ${number}`);
    }
  }
}
