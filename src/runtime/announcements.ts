import { systemGroup } from "../base/index.ts";
import type { GroupId, NodeId } from "../base/index.ts";
import type { Push } from "../wire/index.ts";
import type { Directory } from "./directory.ts";
import type { Leaders } from "./leaders.ts";

/** What a node tells its clients about the cluster: who is in it, and who leads what. */
export class Announcements {
  private readonly directory: () => Directory | undefined;
  private readonly leaders: Leaders;

  constructor(directory: () => Directory | undefined, leaders: Leaders) {
    this.directory = directory;
    this.leaders = leaders;
  }

  addressOf(node: NodeId): string {
    return this.directory()?.members().get(node)?.address ?? "";
  }

  leader(group: GroupId, term: number, node: NodeId | undefined): Push {
    return { kind: "leader", group, term, node, address: node === undefined ? "" : this.addressOf(node) };
  }

  members(): Push {
    const members = [...(this.directory()?.members().values() ?? [])].map(({ node, name, address }) => ({ node, name, address }));
    return { kind: "members", members };
  }

  /** What a new client is told first. */
  greeting(): Push[] {
    const pushes: Push[] = [this.members()];
    for (const [group, leader] of this.leaders.all()) {
      if (leader.node === undefined || group === systemGroup) continue;
      pushes.push(this.leader(group, leader.term, leader.node));
      if (this.leaders.isVacant(group)) pushes.push(this.leader(group, leader.term, undefined));
    }
    return pushes;
  }

  /** For NOT_LEADER: { group, term, leader, address } as far as they are known. */
  hint(group: GroupId): Readonly<Record<string, unknown>> {
    const known = this.leaders.all().get(group);
    return {
      group,
      term: known?.term ?? 0,
      ...(known?.node === undefined ? {} : { leader: known.node, address: this.addressOf(known.node) }),
    };
  }
}
