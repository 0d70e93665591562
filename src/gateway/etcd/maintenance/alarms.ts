import type { KeyspaceSummary, NodeStatus, ReplicaReport } from "../../../api/index.ts";
import { takeResult } from "../../../api/index.ts";
import { defaultGroup, limits } from "../../../base/index.ts";
import { idOf } from "../ids.ts";
import { AlarmType } from "../../../etcd/index.ts";
import { MemberRecords, recordsKeyspace } from "../records.ts";
import type { Ground } from "../service.ts";

export interface Alarm {
  readonly memberID: bigint;
  readonly alarm: AlarmType;
}

export interface View {
  readonly node: NodeStatus;
  /** This node's copy of the default keyspace, if it has one. */
  readonly replica: ReplicaReport | undefined;
  /** Undefined: it cannot be read now. */
  readonly summary: KeyspaceSummary | undefined;
  readonly alarms: readonly Alarm[];
}

/** This node as it is. Alarms follow from its state: they come and go by themselves. */
export async function viewOf(ground: Ground): Promise<View> {
  const node = await ground.handle.nodeStatus({ timeout: 2000 });
  const replica = node.replicas.find(({ group }) => group === defaultGroup);
  const summary = await ground.kv
    .query({ kind: "summary" }, (reply) => takeResult(reply, "summary").result.summary, { consistency: "stale", timeout: 1000 })
    .catch(() => undefined);
  const alarms: Alarm[] = [];
  const memberID = idOf(node.node);
  const isFull = summary !== undefined && summary.bytes >= summary.maxBytes;
  const raisedBy = isFull || summary === undefined ? undefined : await raisedFor(ground, summary);
  if (isFull || replica?.writesStopped === true) alarms.push({ memberID, alarm: AlarmType.NOSPACE });
  else if (raisedBy !== undefined) alarms.push({ memberID: idOf(raisedBy), alarm: AlarmType.NOSPACE });
  if (replica?.state === "corrupt") alarms.push({ memberID, alarm: AlarmType.CORRUPT });
  return { node, replica, summary, alarms };
}

/** Who had to refuse a write for the quota when there was no less room than now. No write needs more than a request may have. */
async function raisedFor(ground: Ground, { bytes, maxBytes }: KeyspaceSummary): Promise<string | undefined> {
  const freeBytes = maxBytes - bytes;
  if (freeBytes > limits.requestBytesMax) return undefined;
  const raised = await new MemberRecords(ground.handle.keyspace(recordsKeyspace)).raised().catch(() => undefined);
  return raised !== undefined && raised.freeBytes >= freeBytes ? raised.node : undefined;
}

/** As etcd prints one. */
export function alarmText({ memberID, alarm }: Alarm): string {
  return `memberID:${memberID} alarm:${alarm === AlarmType.NOSPACE ? "NOSPACE" : "CORRUPT"} `;
}
