import { takeResult } from "../../../api/index.ts";
import { isUnumError } from "../../../base/index.ts";
import { defineService } from "../grpc/index.ts";
import type { Call, Method } from "../grpc/index.ts";
import { hexOf, idOf } from "../ids.ts";
import { boundedNumber } from "../kv/operations.ts";
import {
  AlarmRequest_AlarmAction,
  AlarmType,
  Code,
  DowngradeRequest_DowngradeAction,
  GrpcError,
  Maintenance,
  etcdErrors,
} from "../../../etcd/index.ts";
import type { AlarmRequest, DowngradeRequest } from "../../../etcd/index.ts";
import { MemberRecords, recordsKeyspace } from "../records.ts";
import type { Ground } from "../service.ts";
import { etcdClusterVersion, etcdVersion } from "../version.ts";
import { alarmText, viewOf } from "./alarms.ts";
import { sendSnapshot } from "./snapshot.ts";

export function maintenanceService(ground: Ground): readonly Method[] {
  const { access } = ground;
  return defineService(Maintenance, {
    alarm: async (request, call) => {
      if (request.action !== AlarmRequest_AlarmAction.GET) await access.administer(call);
      return { header: ground.header(ground.kv.revision), alarms: await alarmsFor(ground, request) };
    },

    status: async () => {
      const { node, replica, summary, alarms } = await viewOf(ground);
      const { node: leader, term } = ground.kv.leader;
      return {
        header: ground.header(summary?.revision ?? ground.kv.revision),
        version: etcdVersion,
        dbSize: BigInt(replica?.memoryBytes ?? 0),
        dbSizeInUse: BigInt(Math.min(summary?.bytes ?? 0, replica?.memoryBytes ?? 0)),
        leader: leaderOf(ground),
        raftIndex: BigInt(replica?.commit ?? 0),
        raftAppliedIndex: BigInt(replica?.applied ?? 0),
        raftTerm: BigInt(term),
        isLearner: replica?.role === "learner" && node.node !== leader,
        errors: [...(ground.kv.leader.node === undefined ? [etcdErrors.noLeader().message] : []), ...alarms.map(alarmText)],
      };
    },

    defragment: async (_request, call) => {
      await access.administer(call);
      // Nothing is ever fragmented: space is given back as it becomes free.
      ground.logger.info("a client of etcd asked to defragment: there is nothing to do", { peer: call.peer });
      return {};
    },

    hash: async (_request, call) => {
      await access.administer(call);
      const { revision, hash } = await hashAt(ground, call, 0);
      return { header: ground.header(revision), hash };
    },

    hashKV: async (request, call) => {
      await access.administer(call);
      const { revision, hash, compactRevision } = await hashAt(ground, call, boundedNumber(request.revision));
      return { header: ground.header(revision), hash, compactRevision: BigInt(compactRevision === 0 ? -1 : compactRevision) };
    },

    snapshot: (answers) => ({
      message: () => {
        access
          .administer(answers.call)
          .then(() => sendSnapshot(ground, answers))
          .catch((error: unknown) => answers.fail(ground.toStatus(error)));
      },
      ended: () => undefined,
      closed: () => undefined,
    }),

    moveLeader: async (request, call) => {
      await access.administer(call);
      const { node } = await ground.handle.nodeStatus(ground.within(call));
      if (ground.kv.leader.node !== node) throw etcdErrors.notLeader();
      try {
        await ground.handle.transferLeader({ ...ground.within(call), to: hexOf(request.targetID) });
      } catch (error) {
        if (isUnumError(error, "MEMBER_NOT_FOUND", "INVALID_ARGUMENT")) throw etcdErrors.badLeaderTransferee();
        throw error;
      }
      return { header: ground.header(0) };
    },

    downgrade: async (request, call) => {
      await access.administer(call);
      return downgrade(ground, request);
    },
  });
}

function leaderOf(ground: Ground): bigint {
  const { node } = ground.kv.leader;
  return node === undefined ? 0n : idOf(node);
}

async function alarmsFor(ground: Ground, request: AlarmRequest): Promise<{ memberID: bigint; alarm: AlarmType }[]> {
  const { alarms } = await viewOf(ground);
  if (request.action === AlarmRequest_AlarmAction.ACTIVATE) {
    throw new GrpcError(Code.unimplemented, "unum: alarms follow from the state of the cluster and cannot be raised by hand");
  }
  const isWanted = (alarm: AlarmType): boolean => request.alarm === AlarmType.NONE || request.alarm === alarm;
  const wanted = alarms.filter(({ alarm }) => isWanted(alarm)).map((alarm) => ({ ...alarm }));
  if (request.action === AlarmRequest_AlarmAction.GET || wanted.length === 0) return wanted;
  // What follows from the state goes on: only what was recorded can be taken back.
  await new MemberRecords(ground.handle.keyspace(recordsKeyspace)).disarm();
  const after = await viewOf(ground);
  return wanted.filter(({ alarm }) => !after.alarms.some((still) => still.alarm === alarm));
}

/** Of this node's own copy, so that copies can be compared. */
async function hashAt(
  ground: Ground,
  call: Call,
  revision: number,
): Promise<{ readonly revision: number; readonly hash: number; readonly compactRevision: number }> {
  return ground.kv.query(
    { kind: "hash", revision },
    (reply) => {
      const { revision: at, result } = takeResult(reply, "hash");
      return { revision: at, hash: Number(BigInt.asUintN(32, BigInt(`0x${result.hash}`))), compactRevision: result.compactRevision };
    },
    { ...ground.within(call), consistency: "stale" },
  );
}

/** Whether one could go back to an older version of etcd: told as etcd would, and then never done. */
function downgrade(ground: Ground, request: DowngradeRequest): { header: ReturnType<Ground["header"]>; version: string } {
  if (request.action === DowngradeRequest_DowngradeAction.CANCEL) throw etcdErrors.noInflightDowngrade();
  const match = /^(\d+)\.(\d+)(\.\d+)?$/.exec(request.version);
  if (match === null) throw etcdErrors.wrongDowngradeVersion();
  const [major = 0, minor = 0] = etcdClusterVersion.split(".").map(Number);
  if (Number(match[1]) !== major || Number(match[2]) !== minor - 1) throw etcdErrors.invalidDowngradeVersion();
  if (request.action === DowngradeRequest_DowngradeAction.ENABLE) {
    throw new GrpcError(Code.unimplemented, "unum: upgrades and downgrades follow Unum's own feature levels");
  }
  return { header: ground.header(ground.kv.revision), version: etcdClusterVersion };
}
