export { formatVersion } from "./format.ts";
export { lockDataDirectory, mendIdentity, readIdentity, writeIdentity } from "./identity.ts";
export { storageSettings } from "./settings.ts";
export type { StorageSettings } from "./settings.ts";
export { openStorage } from "./storage.ts";
export type { OpenStorageOptions } from "./storage.ts";
export type {
  DiscardedReplica,
  GroupLog,
  RecoveredLog,
  SnapshotFile,
  SnapshotReceiver,
  Storage,
  StorageStats,
} from "./types.ts";
