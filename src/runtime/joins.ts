import { UnumError, systemGroup, utf8Encode } from "../base/index.ts";
import type { ClusterId, NodeId } from "../base/index.ts";
import { decodeReply, noEnvelope, systemCommandBytes } from "../machine/index.ts";
import type { SystemCommand, SystemState } from "../machine/index.ts";
import type { Call } from "./connection.ts";
import type { Bootstrap, NodeCard } from "./identity.ts";
import { decodeMembership } from "./membership.ts";
import type { Membership, MembershipAnswer, MembershipRequest } from "./membership.ts";
import { asUnumError } from "./failure.ts";
import type { UnumNode } from "./node.ts";

/** A member's answers to nodes that are none yet. */
export class Joins {
  private readonly node: UnumNode;

  constructor(node: UnumNode) {
    this.node = node;
  }

  handle(call: Call, membership: Membership | undefined): void {
    const request = decodeMembership<MembershipRequest>(call.request.body);
    const answered = membership === undefined ? this.answer(call, request) : membership.answer(request);
    answered.then(
      (answer) => {
        if (answer !== undefined) call.reply(utf8Encode(JSON.stringify(answer)));
      },
      (error: unknown) => call.fail(asUnumError(error)),
    );
  }

  private async answer(call: Call, request: MembershipRequest): Promise<MembershipAnswer | undefined> {
    const { identity } = this.node;
    const { accepted, cluster } = identity.value;
    switch (request.op) {
      case "discover":
        return { op: "discover", card: this.node.introduction.card(), cluster: cluster ?? null, accepted: accepted ?? null };
      case "accept":
        return { op: "accept", accepted: accepted?.cluster === request.proposal.cluster };
      case "join": {
        if (this.node.groups.get(systemGroup)?.isServing !== true) {
          this.node.gate.elsewhere(call);
          return undefined;
        }
        return this.join(request.card, cluster as ClusterId);
      }
      default:
        throw new UnumError("UNSUPPORTED", "This membership message is not one of this version.");
    }
  }

  /** On the system group's leader. Idempotent: a node that lost the answer asks again. */
  private async join(card: NodeCard, cluster: ClusterId): Promise<MembershipAnswer> {
    const state = this.node.directory?.state;
    if (state === undefined) throw new UnumError("UNAVAILABLE", "The cluster is still being formed.");
    if (state.removed.has(card.node)) throw new UnumError("REMOVED");
    const known = state.nodes.get(card.node);
    if (known !== undefined && known.incarnation !== card.incarnation) {
      throw new UnumError("NAME_IN_USE", `Node id ${card.node} belongs to another data directory.`);
    }
    if (known === undefined) await this.admit(card, state);
    return { op: "join", cluster, bootstrap: this.bootstrapFor(card.node) };
  }

  private async admit(card: NodeCard, state: SystemState): Promise<void> {
    for (const other of state.nodes.values()) {
      if (other.name !== card.name || state.leaving.has(other.node)) continue;
      // A new directory takes the place of a dead member of the same name, never of a live one.
      const alive = other.node === this.node.nodeId || this.node.links.isConnected(other.node);
      if (alive)
        throw new UnumError(
          "NAME_IN_USE",
          `A live member at ${other.address} has the name "${card.name}". Choose another name, or remove that member first.`,
        );
      this.node.platform.probe?.("dead-member-replaced");
      await this.propose({ kind: "leave-node", node: other.node });
    }
    await this.propose({ kind: "register-node", ...card });
  }

  /** Rejects with what the system group's machine refuses with: NAME_IN_USE, UPGRADE_REQUIRED, REMOVED, OVERLOADED. */
  private async propose(command: SystemCommand): Promise<void> {
    const reply = decodeReply(await this.node.router.propose(systemGroup, systemCommandBytes(noEnvelope, command), 5_000));
    if (!reply.ok) throw new UnumError(reply.code, reply.message, { details: reply.details });
  }

  private bootstrapFor(node: NodeId): Bootstrap {
    const state = this.node.directory?.state;
    const system = state?.groups.get(systemGroup);
    const mine = system?.replicas.find((replica) => replica.node === node);
    if (state === undefined || system === undefined || mine === undefined)
      throw new UnumError("UNAVAILABLE", "The node is registered and not placed yet; ask again.");
    return {
      initialVoters: system.initialVoters,
      replicas: system.replicas.map(({ replica, node: holder }) => ({ replica, node: holder })),
      members: [...state.nodes.values()].map(({ node: id, name, address, zone, incarnation, ephemeral, featureLevel }) => ({
        node: id,
        name,
        address,
        zone,
        incarnation,
        ephemeral,
        featureLevel,
      })),
      leaving: [...state.leaving],
      replica: mine.replica,
    };
  }
}
