import { isUnumError } from "../../base/index.ts";
import type { Prng } from "../../base/index.ts";
import type { MemberStatus } from "../../api/index.ts";
import type { Client } from "./client.ts";
import type { Place, Workload, WorkloadType } from "./workload.ts";

export const membership: WorkloadType = {
  name: "membership",
  about: "looks at who belongs to the cluster and who leads, moves leaders, and makes keyspaces, while members come and go",
  create: (place) => new Membership(place),
};

class Membership implements Workload {
  private readonly prefix: string;
  private readonly found: string[] = [];
  private readonly numbers = new Map<string, number>();
  /** The name of each member that was ever listed, by its id: neither changes hands. */
  private readonly names = new Map<string, string>();
  private readonly groups = new Map<string, number>();
  private readonly keyspaces: readonly string[];

  constructor({ prefix, prng }: Place) {
    this.prefix = prefix;
    this.keyspaces = Array.from({ length: prng.pick([1, 2]) }, (_, i) => `made${i}`);
  }

  async step(client: Client, prng: Prng): Promise<void> {
    const what = prng.pick(["write", "write", "members", "status", "keyspaces", "make", "transfer"] as const);
    if (what === "write") {
      await client.run({ kind: "put", key: `${this.prefix}0`, value: client.fresh(), ifRevision: undefined }, membership.name);
      return;
    }
    try {
      await this.ask(client, prng, what);
      this.count(what);
    } catch (error) {
      if (!isUnumError(error)) client.report(`${what} failed with ${error instanceof Error ? error.stack : String(error)}`);
      this.count(`${what} failed`);
    }
  }

  private async ask(client: Client, prng: Prng, what: "members" | "status" | "keyspaces" | "make" | "transfer"): Promise<void> {
    const { handle, manners } = client;
    const options = { timeout: manners.timeoutMs };
    switch (what) {
      case "members":
        return this.noteMembers(client, await handle.members(options));
      case "status": {
        const status = await handle.status(options);
        return this.noteMembers(client, status.members);
      }
      case "keyspaces":
        for (const { group, name } of await handle.keyspaces(options)) this.noteGroup(client, name, group);
        return;
      case "make":
        await handle.keyspace(prng.pick(this.keyspaces)).put("key", client.fresh(), options);
        return;
      case "transfer":
        await handle.transferLeader(options);
    }
  }

  private noteMembers(client: Client, members: readonly MemberStatus[]): void {
    for (const { name, node: id } of members) {
      const known = this.names.get(id);
      if (known === undefined) this.names.set(id, name);
      else if (known !== name) this.found.push(`${client.name} was told that member ${id} is ${name}, and it was ${known}`);
    }
    // Who leaves has no claim to its name any more.
    const names = members.filter(({ leaving }) => !leaving).map(({ name }) => name);
    if (new Set(names).size < names.length) this.found.push(`${client.name} was told of two members of one name: ${names.join(", ")}`);
  }

  /** A keyspace is one group for ever: two would be two truths. */
  private noteGroup(client: Client, name: string, group: number): void {
    const known = this.groups.get(name);
    if (known === undefined) this.groups.set(name, group);
    else if (known !== group) this.found.push(`${client.name} was told that keyspace ${name} is group ${group}, and it was ${known}`);
  }

  private count(what: string): void {
    this.numbers.set(what, (this.numbers.get(what) ?? 0) + 1);
  }

  check(): string[] {
    return this.found;
  }

  counts(): ReadonlyMap<string, number> {
    return this.numbers;
  }
}
