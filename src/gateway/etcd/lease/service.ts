import type { MessageInitShape } from "@bufbuild/protobuf";
import { takeResult } from "../../../api/index.ts";
import { isUnumError, latin1Encode, limits } from "../../../base/index.ts";
import type { Rights } from "../auth/rights.ts";
import { defineService } from "../grpc/index.ts";
import type { Answers, Method, Questions } from "../grpc/index.ts";
import { Lease, etcdErrors } from "../../../etcd/index.ts";
import type { LeaseKeepAliveRequest, LeaseTimeToLiveResponseSchema } from "../../../etcd/index.ts";
import type { Ground } from "../service.ts";
import { leaseOf, signedLease } from "../kv/operations.ts";
import { askForLease } from "./rights.ts";

const secondMs = 1000;
/** Keep-alives of one stream that wait for their answers; a client that sends more is not read. */
const keepAlivesMax = 1_000;

export function leaseService(ground: Ground): readonly Method[] {
  const { kv, access } = ground;
  return defineService(Lease, {
    leaseGrant: async (request, call) => {
      await access.known(call);
      if (request.TTL > BigInt(limits.leaseSecondsMax)) throw etcdErrors.leaseTtlTooLarge();
      // Too short a lease is as long as the shortest.
      const seconds = Math.max(limits.leaseSecondsMin, Number(request.TTL));
      const command = { kind: "lease-grant", lease: leaseOf(request.ID), ttlMs: seconds * secondMs } as const;
      return kv.command(
        command,
        (reply) => {
          const { revision, result } = takeResult(reply, "lease");
          return { header: ground.header(revision), ID: signedLease(result.lease), TTL: BigInt(Math.floor(result.ttlMs / secondMs)) };
        },
        ground.within(call),
      );
    },

    leaseRevoke: async (request, call) => {
      const lease = leaseOf(request.ID);
      const command = { kind: "lease-revoke", lease, term: 0 } as const;
      const ask = (rights: Rights): Promise<void> => {
        rights.known();
        return askForLease(ground, call, rights, lease);
      };
      const revision = await access.act(call, ask, () =>
        kv.command(command, (reply) => takeResult(reply, "done").revision, ground.within(call)),
      );
      return { header: ground.header(revision) };
    },

    leaseKeepAlive: (answers) => {
      return new KeepAlives(ground, answers);
    },

    leaseTimeToLive: async (request, call) => {
      const query = { kind: "lease", lease: leaseOf(request.ID), keys: request.keys } as const;
      const run = async (rights: Rights): Promise<MessageInitShape<typeof LeaseTimeToLiveResponseSchema>> => {
        const { keys, ...answer } = await kv.query(
          query,
          (reply) => {
            const { revision, result } = takeResult(reply, "lease");
            return {
              header: ground.header(revision),
              ID: request.ID,
              TTL: BigInt(Math.floor(result.remainingMs / secondMs)),
              grantedTTL: BigInt(Math.floor(result.ttlMs / secondMs)),
              keys: result.keys,
            };
          },
          ground.within(call),
        );
        for (const key of keys) rights.read(key, "");
        return { ...answer, keys: keys.map((key) => latin1Encode(key)) };
      };
      try {
        return await access.read(call, (rights) => rights.known(), run);
      } catch (error) {
        if (!isUnumError(error, "LEASE_NOT_FOUND")) throw error;
        return { header: ground.header(kv.revision), ID: request.ID, TTL: -1n };
      }
    },

    leaseLeases: async (_request, call) => {
      await access.known(call);
      return kv.query(
        { kind: "leases" },
        (reply) => {
          const { revision, result } = takeResult(reply, "leases");
          return { header: ground.header(revision), leases: result.leases.map((lease) => ({ ID: signedLease(lease) })) };
        },
        ground.within(call),
      );
    },
  });
}

/** A stream of keep-alives: each is answered, in order, once a quorum has confirmed the leader. */
class KeepAlives implements Questions<LeaseKeepAliveRequest> {
  private readonly ground: Ground;
  private readonly answers: Answers<object>;
  private readonly releaseLeader: () => void;
  /** Whether its client may do this: asked once for the stream. */
  private allowed: Promise<void> | undefined;
  private waiting = 0;
  private ending = false;
  private last: Promise<void> = Promise.resolve();

  constructor(ground: Ground, answers: Answers<object>) {
    this.ground = ground;
    this.answers = answers;
    this.releaseLeader = ground.leaderRequired(answers.call, (error) => answers.fail(error));
  }

  message(request: LeaseKeepAliveRequest): void {
    if (this.waiting >= keepAlivesMax) throw etcdErrors.tooManyRequests();
    this.waiting++;
    const renewed = this.renew(request.ID);
    renewed.catch(() => undefined);
    this.last = this.last.then(async () => {
      try {
        const seconds = await renewed;
        this.answers.send({ header: this.ground.header(this.ground.kv.revision), ID: request.ID, TTL: seconds });
        this.waiting--;
        if (this.ending && this.waiting === 0) this.answers.end();
      } catch (error) {
        this.answers.fail(this.ground.toStatus(error));
      }
    });
  }

  ended(): void {
    this.ending = true;
    if (this.waiting === 0) this.answers.end();
  }

  closed(): void {
    this.releaseLeader();
    this.ending = true;
  }

  /** Seconds; 0 says that there is no such lease. */
  private async renew(id: bigint): Promise<bigint> {
    this.allowed ??= this.ground.access.known(this.answers.call);
    await this.allowed;
    try {
      const ms = await this.ground.kv.keepAlive(leaseOf(id), this.ground.within(this.answers.call));
      return BigInt(Math.max(1, Math.floor(ms / secondMs)));
    } catch (error) {
      if (isUnumError(error, "LEASE_NOT_FOUND")) return 0n;
      throw error;
    }
  }
}
