/**
 * The byte that says what a command, an operation or a query is. A number never changes its
 * meaning; a new meaning takes a new number and a feature level.
 */
export const Kind = {
  put: 1,
  delete: 2,
  range: 3,
  txn: 4,
  /** Reserved: see `EnqueueOperation`. */
  enqueue: 5,
  compact: 16,
  leaseGrant: 17,
  leaseRevoke: 18,
  leaseCheckpoint: 19,
  sessionOpen: 20,
  sessionClose: 21,
  checkpoint: 22,
  activate: 23,
  configure: 24,
  guarded: 25,
  lease: 32,
  leases: 33,
  hash: 34,
  summary: 35,
  /** 64 to 127 belong to the system machine (`system/commands.ts`). */
  systemFirst: 64,
  systemLast: 127,
} as const;

/** Bits of a put's flags. An unknown bit is a newer build's: `UpgradeRequired`. */
export const PutFlag = { previous: 1, ignoreValue: 2, ignoreLease: 4, lease: 8, known: 15 } as const;
export const DeleteFlag = { previous: 1, known: 1 } as const;
export const RangeFlag = {
  keysOnly: 1,
  countOnly: 2,
  sort: 4,
  descending: 8,
  revision: 16,
  limit: 32,
  mod: 64,
  create: 128,
  known: 255,
} as const;
export const WatchFlag = { previous: 1, noPut: 2, noDelete: 4, known: 7 } as const;

/** First byte of a reply: 0 is an error, otherwise what the result is. The revision follows, 8 bytes. */
export const Status = {
  error: 0,
  put: 1,
  delete: 2,
  range: 3,
  txn: 4,
  done: 8,
  lease: 9,
  leases: 10,
  session: 11,
  hash: 12,
  summary: 13,
  system: 14,
  created: 15,
} as const;

/** Bytes of the envelope before the kind: session, sequence and floor, 8 each. */
export const envelopeBytes = 24;

export const sortTargets = ["key", "version", "create", "mod", "value"] as const;
export const compareTargets = ["version", "create", "mod", "value", "lease"] as const;
export const compareRelations = ["equal", "not-equal", "greater", "less"] as const;
