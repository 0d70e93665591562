import type { UnumError } from "../base/index.ts";
import { protocolVersion } from "../wire/index.ts";
import type { ConnectionPurpose, Hello } from "../wire/index.ts";
import { removedError } from "./identity.ts";
import type { NodeCard } from "./identity.ts";
import type { UnumNode } from "./node.ts";
import { featureLevelOf } from "./options.ts";

/** How this node presents itself, and whom it does not want to know. */
export class Introduction {
  private readonly node: UnumNode;

  constructor(node: UnumNode) {
    this.node = node;
  }

  card(): NodeCard {
    const { address, identity, options } = this.node;
    const { incarnation, node } = identity.value;
    const { ephemeral, name, zone } = options;
    return { node, incarnation, name, address, zone, ephemeral, featureLevel: featureLevelOf(options) };
  }

  hello(purpose: ConnectionPurpose): Hello {
    const { address, identity, options } = this.node;
    const { cluster, node } = identity.value;
    const versions = { versionMin: protocolVersion, versionMax: protocolVersion };
    return { ...versions, purpose, cluster, node, name: options.name, address, featureLevel: featureLevelOf(options) };
  }

  /** Nodes of other clusters and removed nodes are no peers. */
  refuse(hello: Hello): UnumError | undefined {
    if (hello.purpose === "client" || hello.node === undefined) return undefined;
    return this.node.directory?.state?.removed.has(hello.node) === true ? removedError() : undefined;
  }
}
