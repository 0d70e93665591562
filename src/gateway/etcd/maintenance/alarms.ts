import type { KeyspaceSummary, NodeStatus, ReplicaReport } from "../../../api/index.ts";
import { takeResult } from "../../../api/index.ts";
import { defaultGroup } from "../../../base/index.ts";
import { idOf } from "../ids.ts";
import { AlarmType } from "../messages/index.ts";
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
  if (isFull || replica?.writesStopped === true) alarms.push({ memberID, alarm: AlarmType.NOSPACE });
  if (replica?.state === "corrupt") alarms.push({ memberID, alarm: AlarmType.CORRUPT });
  return { node, replica, summary, alarms };
}

/** As etcd prints one. */
export function alarmText({ memberID, alarm }: Alarm): string {
  return `memberID:${memberID} alarm:${alarm === AlarmType.NOSPACE ? "NOSPACE" : "CORRUPT"} `;
}
