import { takeResult } from "../../../api/index.ts";
import { isUnumError } from "../../../base/index.ts";
import { MemberRecords, recordsKeyspace } from "../records.ts";
import type { Ground } from "../service.ts";

const callMs = 2_000;

/**
 * Raises NOSPACE when a write was refused for the quota, although there was room for a smaller one: clients of etcd look for the alarm. It is recorded
 * with the room that there was, for all members, and holds until there is more (`alarms.ts`).
 */
export class QuotaWatch {
  private readonly ground: Pick<Ground, "handle" | "kv" | "logger">;
  private readonly records: MemberRecords;
  private busy = false;

  constructor(ground: Pick<Ground, "handle" | "kv" | "logger">) {
    this.ground = ground;
    this.records = new MemberRecords(ground.handle.keyspace(recordsKeyspace));
  }

  /** Told of every call that fails. */
  failed(failure: unknown): void {
    if (this.busy || !isUnumError(failure, "OVER_QUOTA")) return;
    this.busy = true;
    this.raise()
      .catch((error: unknown) => this.ground.logger.debug("the alarm NOSPACE was not recorded", { reason: String(error) }))
      .finally(() => {
        this.busy = false;
      });
  }

  private async raise(): Promise<void> {
    const { handle, kv, logger } = this.ground;
    const { bytes, maxBytes } = await kv.query({ kind: "summary" }, (reply) => takeResult(reply, "summary").result.summary, {
      timeout: callMs,
    });
    const freeBytes = Math.max(0, maxBytes - bytes);
    if (((await this.records.raised())?.freeBytes ?? -1) >= freeBytes) return;
    const { node } = await handle.nodeStatus({ timeout: callMs });
    await this.records.raise({ node, freeBytes });
    logger.warn("a client's write was refused for the quota: alarm NOSPACE", { freeBytes });
  }
}
