/**
 * What the log lane's two sides share: a few words, two numbers and a buffer of data. A request is told
 * through shared memory, its end by a message: measured, the way back is as fast as `Atomics.waitAsync`.
 */
export const LogWord = {
  /** Counted up by the side that asks, once everything else is in place. */
  request: 0,
  op: 1,
  fd: 2,
  length: 3,
  flags: 4,
  result: 5,
  stage: 6,
  count: 16,
} as const;

export const LogOp = { open: 1, close: 2, write: 3, sync: 4, read: 5, size: 6, truncate: 7, zeros: 8, quit: 9 } as const;
export type LogOp = (typeof LogOp)[keyof typeof LogOp];

/** Behind the words stand the offset and a 64-bit result. */
export const logDataStart = LogWord.count * 4 + 16;
/** A larger write goes in pieces; only the last is synced. */
export const logDataBytes = 1024 * 1024;
