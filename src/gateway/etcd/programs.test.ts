import { describe } from "vitest";
import { startTestGateway } from "./testing/gateway.contract.ts";
import { kubernetesContract } from "./testing/kubernetes.contract.ts";
import { patroniContract } from "./testing/patroni.contract.ts";

describe("Kubernetes' API servers", () => kubernetesContract(startTestGateway));
describe("Patroni", () => patroniContract(startTestGateway));
