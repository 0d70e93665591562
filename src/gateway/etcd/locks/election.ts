import { equalBytes, latin1Decode, latin1Encode } from "../../../base/index.ts";
import type { Rights } from "../auth/rights.ts";
import { defineService } from "../grpc/index.ts";
import type { Answers, Call, Method } from "../grpc/index.ts";
import { keyValueOf } from "../kv/results.ts";
import { boundedNumber, leaseOf, signedLease } from "../kv/operations.ts";
import { askForLease } from "../lease/rights.ts";
import { Code, Election, GrpcError } from "../../../etcd/index.ts";
import type { LeaderKey } from "../../../etcd/index.ts";
import type { Ground } from "../service.ts";
import { asClient, clientError } from "./client-errors.ts";
import { createdAt, follow, leaving, nearest, ranOf, takePlace, waitInLine } from "./line.ts";

const missingLeader = (): GrpcError => new GrpcError(Code.unknown, '"leader" field must be provided');
const notLeader = (): GrpcError => new GrpcError(Code.unknown, "election: not leader");
const noLeader = (): GrpcError => new GrpcError(Code.unknown, "election: no leader");

/** etcd's election service: the first in the line of a name leads, and its value is what it proclaims. */
export function electionService(ground: Ground): readonly Method[] {
  return defineService(Election, {
    campaign: asClient(ground, async (request, call) => {
      const name = latin1Decode(request.name);
      const { place, found } = await takePlace(ground, call, name, request.lease, request.value);
      const leader = {
        name: request.name,
        key: latin1Encode(place.key),
        rev: BigInt(place.revision),
        lease: signedLease(place.lease),
      };
      if (found !== undefined && !equalBytes(found.value, request.value)) await proclaim(ground, call, leader, request.value);
      await waitInLine(ground, call, name, place);
      return { header: ground.header(place.seen), leader };
    }),

    proclaim: asClient(ground, async (request, call) => {
      if (request.leader === undefined) throw missingLeader();
      return { header: ground.header(await proclaim(ground, call, request.leader, request.value)) };
    }),

    leader: asClient(ground, async (request, call) => {
      const name = latin1Decode(request.name);
      const { revision, entry } = await ground.access.read(call, asksToSee(name), () => nearest(ground, call, name));
      if (entry === undefined) throw noLeader();
      return { header: ground.header(revision), kv: keyValueOf(entry) };
    }),

    observe: (answers) => ({
      message: (request) => {
        const name = latin1Decode(request.name);
        observe(ground, answers, name).catch((error: unknown) => answers.fail(clientError(ground, error)));
      },
      ended: () => undefined,
      closed: () => undefined,
    }),

    resign: asClient(ground, async (request, call) => {
      const { leader } = request;
      if (leader === undefined) throw missingLeader();
      const key = latin1Decode(leader.key);
      const ask = (rights: Rights): void => {
        rights.read(key, "");
        rights.write(key);
      };
      const { revision } = await ground.access.write(call, ask, leaving({ key, revision: boundedNumber(leader.rev) }), ranOf);
      return { header: ground.header(revision) };
    }),
  });
}

function asksToSee(name: string): (rights: Rights) => void {
  return (rights) => rights.read(`${name}/`, `${name}0`);
}

type Leader = Pick<LeaderKey, "key" | "rev" | "lease">;

/** Only while its place is the leader's own. */
async function proclaim(ground: Ground, call: Call, leader: Leader, value: Uint8Array): Promise<number> {
  const key = latin1Decode(leader.key);
  const ask = async (rights: Rights): Promise<void> => {
    rights.read(key, "");
    rights.write(key);
    await askForLease(ground, call, rights, leaseOf(leader.lease));
  };
  const put = { kind: "put", key, value, lease: leaseOf(leader.lease), previous: false, ignoreValue: false, ignoreLease: false } as const;
  const compare = [createdAt(key, boundedNumber(leader.rev))];
  const txn = { kind: "txn", compare, success: [put], failure: [] } as const;
  const { revision, succeeded } = await ground.access.write(call, ask, txn, ranOf);
  if (!succeeded) throw notLeader();
  return revision;
}

/** Each leader and each of its values as they come; values in between may be missed at a change of leaders, the last one never. */
async function observe(
  ground: Ground,
  answers: Answers<{ header: ReturnType<Ground["header"]>; kv: ReturnType<typeof keyValueOf> }>,
  name: string,
): Promise<void> {
  const { call } = answers;
  while (!call.isOver) {
    const { revision, entry } = await ground.access.read(call, asksToSee(name), () => nearest(ground, call, name));
    if (entry === undefined) {
      await follow(ground, call, { key: `${name}/`, end: `${name}0` }, revision + 1, ({ events }) =>
        events.some(({ kind }) => kind === "put"),
      );
      continue;
    }
    answers.send({ header: ground.header(revision), kv: keyValueOf(entry) });
    await follow(ground, call, { key: entry.key, end: "" }, revision + 1, (change) => {
      for (const event of change.events) {
        if (event.kind === "delete") return true;
        answers.send({ header: ground.header(change.revision), kv: keyValueOf(event.entry) });
      }
      return false;
    });
  }
}
