import { Prng, UnumError, hexEncode, systemGroup } from "../base/index.ts";
import type { GroupId, ReplicaId } from "../base/index.ts";
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
  /** By group, the newest replica whose votes may be lost: it never acts again. 0 when not even its id is known. */
  readonly discarded: ReadonlyMap<GroupId, ReplicaId>;
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
    const discarded = discardedIn(platform, storage, identity);
    if (storage.discarded.some((lost) => lost.group === systemGroup)) {
      throw new UnumError(
        "CORRUPT",
        "The system group's term and vote are damaged in both copies. Remove the directory, so that the node joins as a new one.",
      );
    }
    if (discarded.has(systemGroup) || (identity.value.created === true && !storage.groups.has(systemGroup))) {
      throw new UnumError(
        "CORRUPT",
        "This data directory has lost its write-ahead log. Remove the directory, so that the node joins as a new one.",
      );
    }
    await holdAll(identity, storage);
    return { lock, storage, identity, discarded };
  } catch (error) {
    await storage?.close();
    await lock.release();
    if (error instanceof DiskError) throw diskFailure(error);
    throw error;
  }
}

/**
 * What the log itself gives up, and what it has forgotten: damage may take every record of a replica, the note that it was given up
 * included, and one that was made again under its id would vote twice.
 */
function discardedIn({ logger, probe }: Omit<Platform, "streams">, storage: Storage, identity: IdentityStore): Map<GroupId, ReplicaId> {
  const discarded = new Map(storage.discarded.map(({ group, replica }) => [group, replica]));
  const known = new Map(discarded);
  for (const [group, log] of storage.groups) known.set(group, log.recovered.replica);
  for (const [group, replica] of identity.missing(known)) {
    discarded.set(group, replica);
    if (storage.groups.has(group)) storage.destroy(group);
    probe?.("replica-forgotten");
    logger.warn(`group ${group}: the write-ahead log has lost replica ${replica}; it is discarded and must be added again under a new id`);
  }
  return discarded;
}

/** Whatever is here is known to have been here before it acts. A start needs no room on the disk: what has none now is told by the next one. */
async function holdAll(identity: IdentityStore, storage: Storage): Promise<void> {
  try {
    await identity.hold([...storage.groups.values()].map(({ group, recovered }) => [group, recovered.replica]));
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== "full") throw error;
  }
}
