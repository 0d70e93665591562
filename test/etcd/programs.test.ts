import { describe } from "vitest";
import { kubernetesContract } from "../../src/gateway/etcd/testing/kubernetes.contract.ts";
import type { Storage } from "../../src/gateway/etcd/testing/kubernetes.contract.ts";
import { mutexContract } from "../../src/gateway/etcd/testing/mutex.contract.ts";
import { patroniContract } from "../../src/gateway/etcd/testing/patroni.contract.ts";
import { etcdPath, startEtcd, startUnum } from "../support/etcd.ts";
import type { EtcdCluster } from "../support/etcd.ts";

/** The first member of a cluster. */
async function storageOf(starting: Promise<EtcdCluster>): Promise<Storage> {
  const cluster = await starting;
  return { port: Number(cluster.endpoints[0]?.split(":")[1]), close: () => cluster.close() };
}

describe("at three nodes of Unum", () => {
  describe("Kubernetes' API servers", () => kubernetesContract(() => storageOf(startUnum())));
  describe("locks of etcd's client library", () => mutexContract(() => storageOf(startUnum())));
});

/** The scenarios themselves are right: etcd passes them. */
describe.skipIf(etcdPath === undefined)("at a real etcd", () => {
  describe("Kubernetes' API servers", () => kubernetesContract(() => storageOf(startEtcd(1))));
  describe("Patroni", () => patroniContract(() => storageOf(startEtcd(1))));
  describe("locks of etcd's client library", () => mutexContract(() => storageOf(startEtcd(1))));
});
