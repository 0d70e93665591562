import type { ReplicaId } from "../../base/index.ts";
import type { Configuration } from "../../raft/index.ts";

/** Not raft's own: a judge does not ask the accused how to count. */
export function hasQuorum({ outgoing, voters }: Configuration, has: (voter: ReplicaId) => boolean): boolean {
  return [voters, outgoing].every((side) => side.length === 0 || side.filter(has).length > side.length / 2);
}
