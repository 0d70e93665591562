import { describe } from "vitest";
import { startTestGateway } from "./testing/gateway.contract.ts";
import { kubernetesContract } from "./testing/kubernetes.contract.ts";
import { mutexContract } from "./testing/mutex.contract.ts";
import { patroniContract } from "./testing/patroni.contract.ts";

describe("Kubernetes' API servers", () => kubernetesContract(startTestGateway));
describe("Patroni", () => patroniContract(startTestGateway));
describe("locks of etcd's client library", () => mutexContract(startTestGateway));
