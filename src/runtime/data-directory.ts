import { Prng, UnumError, hexEncode, systemGroup } from "../base/index.ts";
import { DiskError } from "../ports/index.ts";
import type { Platform } from "../ports/index.ts";
import { lockDataDirectory, openStorage } from "../storage/index.ts";
import type { Storage } from "../storage/index.ts";
import { diskFailure } from "./failure.ts";
import { IdentityStore, removedError } from "./identity.ts";
import type { NodeOptions } from "./options.ts";

/** A node's directory, locked and recovered. */
export interface DataDirectory {
  readonly lock: { release(): Promise<void> };
  readonly storage: Storage;
  readonly identity: IdentityStore;
}

/** Rejects with DATA_DIR_LOCKED, DATA_DIR_FORMAT, REMOVED, CORRUPT or DISK_FAILED; nothing stays open then. */
export async function openDirectory(platform: Omit<Platform, "streams">, options: Pick<NodeOptions, "storage">): Promise<DataDirectory> {
  const { checksum, clock, disk, logger, random } = platform;
  const lock = await lockDataDirectory(disk);
  let storage: Storage | undefined;
  try {
    const identity = await IdentityStore.open(disk, random);
    if (identity.value.removed === true) throw removedError();
    const settings = options.storage === undefined ? {} : { settings: options.storage };
    storage = await openStorage({
      disk,
      clock,
      checksum,
      prng: new Prng(hexEncode(random.bytes(16))),
      logger,
      probe: platform.probe,
      ...settings,
    });
    // Whoever runs the node must see that its disk lost something, whatever else it does about it.
    for (const line of storage.report) logger.warn(line);
    if (storage.discarded.some((lost) => lost.group === systemGroup)) {
      throw new UnumError(
        "CORRUPT",
        "The system group's term and vote are damaged in both copies. Remove the directory, so that the node joins as a new one.",
      );
    }
    if (identity.value.created === true && !storage.groups.has(systemGroup)) {
      throw new UnumError(
        "CORRUPT",
        "This data directory has lost its write-ahead log. Remove the directory, so that the node joins as a new one.",
      );
    }
    return { lock, storage, identity };
  } catch (error) {
    await storage?.close();
    await lock.release();
    if (error instanceof DiskError) throw diskFailure(error);
    throw error;
  }
}
