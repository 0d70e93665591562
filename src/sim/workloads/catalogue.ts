import { bank } from "./bank.ts";
import { cas } from "./cas.ts";
import { claims } from "./claims.ts";
import { counter } from "./counter.ts";
import { etcd } from "./etcd.ts";
import { kubernetes } from "./kubernetes.ts";
import { leases } from "./leases.ts";
import { lists } from "./lists.ts";
import { membership } from "./membership.ts";
import { register } from "./register.ts";
import { set } from "./set.ts";
import { watches } from "./watches.ts";
import type { WorkloadType } from "./workload.ts";

/** Every workload there is, in the order in which they are told of. */
export const workloadTypes: readonly WorkloadType[] = [
  register,
  cas,
  lists,
  bank,
  set,
  counter,
  leases,
  watches,
  kubernetes,
  membership,
  etcd,
  claims,
];

/** What `--workload` may name. */
export const workloadNames: readonly string[] = workloadTypes.map(({ name }) => name);

export function workloadType(name: string): WorkloadType {
  const type = workloadTypes.find((candidate) => candidate.name === name);
  if (type === undefined) throw new Error(`there is no workload ${name}`);
  return type;
}
