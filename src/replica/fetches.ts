import type { GroupId } from "../base/index.ts";
import type { Logger } from "../ports/index.ts";
import type { FetchRequest, Raft } from "../raft/index.ts";
import type { GroupLog } from "../storage/index.ts";

/** Reads the entries that raft does not keep in memory; fulfils when raft has them, or knows that they are not to be had. */
export async function supplyEntries(group: GroupId, log: GroupLog, raft: Raft, logger: Logger, fetch: FetchRequest): Promise<void> {
  const { from, maxBytes, to } = fetch;
  try {
    raft.supply(to, await log.read(from, raft.lastIndex, maxBytes));
  } catch (error) {
    logger.warn("old entries could not be read; the follower gets a snapshot", { group, from, error: String(error) });
    raft.fetchFailed(to);
  }
}
