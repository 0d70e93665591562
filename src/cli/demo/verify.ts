import { isUnumError } from "../../base/index.ts";
import type { Clock } from "../../ports/index.ts";
import type { Client } from "../client.ts";
import { Failure, failureMessage } from "../failure.ts";
import { sleep } from "../wait.ts";
import { demoKey, demoNumber } from "./ledger.ts";
import type { Ledger } from "./ledger.ts";

/** Keys per read, and reads in flight per node. */
const chunkKeys = 1000;
const parallel = 4;

/**
 * Reads every key that was ever written, linearizably, through one node, and notes in the ledger what
 * is lost or wrong. Returns how many entries it found. Throws when the node cannot be read in time.
 */
export async function verifyThrough(clock: Clock, client: Client, ledger: Ledger, deadlineMs: number): Promise<number> {
  let found = 0;
  let writer = 0;
  let next = 0;
  const takeChunk = (): { readonly writer: number; readonly first: number; readonly end: number } | undefined => {
    while (writer < ledger.writers && next >= ledger.keys(writer)) {
      writer++;
      next = 0;
    }
    if (writer >= ledger.writers) return undefined;
    const first = next;
    next = Math.min(first + chunkKeys, ledger.keys(writer));
    return { writer, first, end: next };
  };
  const work = async (): Promise<void> => {
    for (let chunk = takeChunk(); chunk !== undefined; chunk = takeChunk()) {
      found += await verifyChunk(clock, client, ledger, chunk.writer, chunk.first, chunk.end, deadlineMs);
    }
  };
  await Promise.all(Array.from({ length: parallel }, work));
  return found;
}

async function verifyChunk(
  clock: Clock,
  client: Client,
  ledger: Ledger,
  writer: number,
  first: number,
  end: number,
  deadlineMs: number,
): Promise<number> {
  for (;;) {
    try {
      const page = await client.kv.range({ from: demoKey(writer, first), to: demoKey(writer, end) }, { limit: chunkKeys, timeout: 5000 });
      let number = first;
      for (const entry of page.entries) {
        const at = demoNumber(entry.key);
        while (number < at) ledger.check(writer, number++, undefined);
        ledger.check(writer, number++, entry.value);
      }
      while (number < end) ledger.check(writer, number++, undefined);
      return page.entries.length;
    } catch (error) {
      if (!isUnumError(error) || clock.now() > deadlineMs)
        throw new Failure("NOT_VERIFIED", `the keys could not be read back: ${failureMessage(error)}`);
      await sleep(clock, 50);
    }
  }
}
