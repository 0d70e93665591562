import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions, MemberStatus } from "../../../api/index.ts";
import { isUnumError } from "../../../base/index.ts";
import { defineService } from "../grpc/index.ts";
import type { Method } from "../grpc/index.ts";
import { hexOf, idOf } from "../ids.ts";
import { Cluster, Code, GrpcError, etcdErrors } from "../../../etcd/index.ts";
import type { MemberSchema } from "../../../etcd/index.ts";
import { MemberRecords, recordsKeyspace } from "../records.ts";
import type { Ground } from "../service.ts";

type MemberInit = MessageInitShape<typeof MemberSchema>;

/** Membership of etcd over Unum's: nodes join and are promoted by themselves, and say their own addresses. */
export function clusterService(ground: Ground): readonly Method[] {
  const { handle, access, logger } = ground;
  const records = new MemberRecords(handle.keyspace(recordsKeyspace));
  const peerUrlOf = (member: MemberStatus): string => `${ground.peerScheme}://${member.address}`;

  /** Without a quorum what only the records know is missing, and members are still listed. */
  async function orNothing<T>(read: Promise<ReadonlyMap<string, T>>): Promise<ReadonlyMap<string, T>> {
    try {
      return await read;
    } catch (error) {
      logger.debug("the etcd gateway's records cannot be read", { reason: String(error) });
      return new Map<string, T>();
    }
  }

  async function list(options: CallOptions): Promise<MemberInit[]> {
    const [members, told, announced] = await Promise.all([
      handle.members(options),
      orNothing(records.told()),
      orNothing(records.announced()),
    ]);
    const present = members.filter((member) => member.state !== "removed");
    const all: MemberInit[] = present.map((member) => memberOf(member, peerUrlOf(member), told.get(member.node)?.clientUrls ?? []));
    const addresses = new Set(present.map(peerUrlOf));
    for (const [id, { peerUrls, learner }] of announced) {
      // Who was announced and has joined is a member like any other.
      if (!peerUrls.some((url) => addresses.has(url))) all.push({ ID: idOf(id), peerURLs: [...peerUrls], isLearner: learner });
    }
    return all.sort((a, b) => ((a.ID ?? 0n) < (b.ID ?? 0n) ? -1 : 1));
  }

  return defineService(Cluster, {
    // As in etcd, whoever asks is told: clients look for members before they say who they are.
    memberList: async (_request, call) => {
      return { header: ground.header(0), members: await list(ground.within(call)) };
    },

    memberAdd: async (request, call) => {
      await access.administer(call);
      const peerUrls = checkUrls(request.peerURLs);
      const members = await list(ground.within(call));
      if (members.some((member) => member.peerURLs?.some((url) => peerUrls.includes(url)))) throw etcdErrors.peerUrlExists();
      const bytes = ground.random.bytes(8);
      const ID = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0) | 1n;
      await records.announce(hexOf(ID), { peerUrls, learner: request.isLearner });
      const member = { ID, peerURLs: peerUrls, isLearner: request.isLearner };
      return { header: ground.header(0), member, members: await list(ground.within(call)) };
    },

    memberRemove: async (request, call) => {
      await access.administer(call);
      const id = hexOf(request.ID);
      if (!(await records.withdraw(id))) await removeNode(ground, id, ground.within(call));
      return { header: ground.header(0), members: await list(ground.within(call)) };
    },

    memberUpdate: async (request, call) => {
      await access.administer(call);
      const members = await list(ground.within(call));
      const member = members.find(({ ID }) => ID === request.ID);
      if (member === undefined) throw etcdErrors.memberNotFound();
      const peerUrls = checkUrls(request.peerURLs);
      if (peerUrls.join() === member.peerURLs?.join()) return { header: ground.header(0), members };
      throw new GrpcError(Code.unimplemented, "unum: a node says its own address: start it with another --advertise");
    },

    memberPromote: async (request, call) => {
      await access.administer(call);
      const members = await list(ground.within(call));
      const member = members.find(({ ID }) => ID === request.ID);
      if (member === undefined) throw etcdErrors.memberNotFound();
      if (member.isLearner !== true) throw etcdErrors.memberNotLearner();
      // It is promoted by itself, once it is caught up and a voter is wanted.
      throw etcdErrors.learnerNotReady();
    },
  });
}

async function removeNode(ground: Ground, id: string, options: CallOptions): Promise<void> {
  try {
    await ground.handle.removeMember(id, options);
  } catch (error) {
    if (isUnumError(error, "MEMBER_NOT_FOUND")) throw etcdErrors.memberNotFound();
    throw error;
  }
}

function memberOf(member: MemberStatus, peerUrl: string, clientUrls: readonly string[]): MemberInit {
  return {
    ID: idOf(member.node),
    name: member.name,
    peerURLs: [peerUrl],
    clientURLs: [...clientUrls],
    isLearner: member.role === "learner",
  };
}

function checkUrls(urls: readonly string[]): string[] {
  const isUrl = (url: string): boolean => /^(https?:\/\/(\[[0-9a-fA-F:.]+\]|[^/:\s]+):\d{1,5}|unixs?:\/\/[^\s]+)$/.test(url);
  if (urls.length === 0 || !urls.every(isUrl)) throw etcdErrors.memberBadUrls();
  return [...urls].sort((a, b) => (a < b ? -1 : 1));
}
