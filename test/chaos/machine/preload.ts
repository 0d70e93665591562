/**
 * Loaded into a node's process before the program, which stays as it is published (`NODE_OPTIONS=--import`), and
 * into each of its threads: the program then runs on a machine whose clock jumps and whose disk fails
 * or loses power. `UNUM_CHAOS_DISK` names the disk; without it only the clock can be moved.
 */
import { getEnvironmentData, isMainThread, setEnvironmentData } from "node:worker_threads";
import { Controls } from "./controls.ts";
import type { Command } from "./controls.ts";
import { watchDisk } from "./disk.ts";
import type { DiskOptions } from "./disk.ts";
import { lastSequence } from "./journal.ts";
import { shiftDate } from "./wall-clock.ts";

const sharedName = "unum-chaos";
const disk = process.env["UNUM_CHAOS_DISK"];
const options = disk === undefined ? undefined : (JSON.parse(disk) as DiskOptions);
const shared = isMainThread ? undefined : (getEnvironmentData(sharedName) as unknown as SharedArrayBuffer | undefined);
const controls = new Controls(shared);

shiftDate(controls);
if (isMainThread) {
  setEnvironmentData(sharedName, controls.shared as never);
  const shiftMs = Number(process.env["UNUM_CHAOS_SHIFT_MS"] ?? 0);
  controls.take({ id: 0, wallShiftMs: shiftMs });
  if (options !== undefined) controls.beginAfter(lastSequence(options.journal));
  process.on("message", (command) => {
    controls.take(command as Command);
    process.send?.({ done: (command as Command).id });
  });
  // The channel alone keeps no process; a node whose harness is gone has nobody to end it.
  process.on("disconnect", () => process.kill(process.pid, "SIGKILL"));
  process.channel?.unref();
}
if (options !== undefined) watchDisk(options, controls, isMainThread ? "main" : "log");
