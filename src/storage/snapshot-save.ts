import { UnumError } from "../base/index.ts";
import type { Checksum, Clock, Disk } from "../ports/index.ts";
import type { SnapshotMeta } from "../raft/types.ts";
import type { LogState } from "./log-state.ts";
import { groupDirectory, groupFileName } from "./names.ts";
import type { StorageSettings } from "./settings.ts";
import { SnapshotWriter } from "./snapshot-file.ts";
import type { OpenSnapshot } from "./snapshot-file.ts";

export interface SaveTools {
  readonly disk: Disk;
  readonly checksum: Checksum;
  readonly clock: Clock;
  readonly settings: StorageSettings;
  readonly wal: { readonly writingSince: number | undefined };
}

function sleep(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

/** Resolves in the next turn of the loop, behind the input that is ready. */
function nextTurn(clock: Clock): Promise<void> {
  return new Promise((resolve) => clock.defer(resolve));
}

/** How long a turn of the loop may go on with a snapshot: whoever is served waits for it. */
const turnMs = 2;

/** Renames a finished file to its name: from then on recovery finds it. */
export async function publishSnapshot(disk: Disk, writer: SnapshotWriter, path: string): Promise<OpenSnapshot> {
  await disk.rename(writer.path, path);
  await disk.syncDirectory(groupDirectory);
  return writer.opened(path);
}

/**
 * Writes a replica's own snapshot. Between two steps it waits until the rate allows the next, and as
 * long as the last one took when the WAL is busy, so that it takes at most half of the disk's time. Within a step the loop
 * turns every few milliseconds.
 */
export async function saveSnapshotFile(
  tools: SaveTools,
  state: LogState,
  meta: SnapshotMeta,
  pull: () => Uint8Array | undefined,
  stop: { isAborted(): boolean },
): Promise<OpenSnapshot> {
  const { disk, checksum, clock, settings } = tools;
  const name = groupFileName({ group: state.group, incarnation: state.incarnation, kind: "snapshot", a: meta.index, b: meta.term });
  const path = `${groupDirectory}/${name}`;
  const header = { group: state.group, incarnation: state.incarnation, stepBytes: settings.stepBytes, meta, totalBytes: 0 };
  const writer = await SnapshotWriter.create(disk, `${path}.part`, header, checksum);
  let began = clock.now();
  const pace = async (): Promise<void> => {
    const took = clock.now() - began;
    const rateMs = settings.snapshotBytesPerSecond === 0 ? 0 : (settings.stepBytes * 1000) / settings.snapshotBytesPerSecond - took;
    const pauseMs = Math.max(rateMs, tools.wal.writingSince === undefined ? 0 : took);
    if (pauseMs > 0) await sleep(clock, pauseMs);
    began = clock.now();
  };
  try {
    let turned = clock.now();
    for (let chunk = pull(); chunk !== undefined; chunk = pull()) {
      await writer.add(chunk, pace);
      if (clock.now() - turned >= turnMs) {
        await nextTurn(clock);
        turned = clock.now();
      }
      if (stop.isAborted()) throw new UnumError("CLOSED", "The snapshot was given up.");
    }
    await writer.finish();
    if (stop.isAborted()) throw new UnumError("CLOSED", "The snapshot was given up.");
    return await publishSnapshot(disk, writer, path);
  } catch (error) {
    await writer.close();
    await disk.remove(writer.path);
    throw error;
  }
}
