import { expect, it } from "vitest";
import type { Disk } from "../ports/index.ts";
import { SimDisk } from "../sim/disk.ts";
import { SimWorld } from "../sim/index.ts";
import { IdentityStore } from "./identity.ts";

const copies = ["IDENTITY.0", "IDENTITY.1"] as const;

async function trial(
  hurt: (disk: SimDisk, older: Uint8Array) => Promise<void> | void,
): Promise<{ readonly same: boolean; readonly created: boolean | undefined }> {
  const world = new SimWorld("identity");
  const { clock, random } = world.machine("n1");
  const disk = new SimDisk({ clock, prng: world.prng.fork("disk") });
  const settle = <T>(promise: Promise<T>): Promise<T> => world.scheduler.settle(promise);
  await settle(IdentityStore.open(disk, random));
  const older = disk.bytesOf(copies[1]).slice();
  await settle((await settle(IdentityStore.open(disk, random))).update({ created: true }));
  await hurt(disk, older);
  const store = await settle(IdentityStore.open(disk, random));
  const [first, second] = copies.map((path) => disk.bytesOf(path).join());
  return { same: first === second, created: store.value.created };
}

it("P8: copies of the identity that differ after a crash or damage are equal after the next start, both with the newest word", async () => {
  const mended = { same: true, created: true };
  expect(await trial((disk, older) => disk.put(copies[1], older)), "a crash between the two writes").toEqual(mended);
  expect(await trial((disk) => disk.corrupt(copies[0], 40, 3)), "a flipped bit").toEqual(mended);
  const full = await trial((disk: SimDisk & Disk, older) => {
    disk.put(copies[1], older);
    disk.capacityBytes = disk.usedBytes();
  });
  expect(full, "a full disk does not keep it from starting").toEqual({ same: false, created: true });
});
