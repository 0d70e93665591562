import { Reader, UnumError, Writer, systemGroup } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import type { Call } from "./connection.ts";
import { asUnumError } from "./failure.ts";
import type { UnumNode } from "./node.ts";
import { Placement } from "./placement.ts";

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** From a keyspace's name to its group, creating it when asked to. */
export class Keyspaces {
  private readonly node: UnumNode;
  private readonly placement: Placement;
  /** Creations under way on this leader, so that two askers make one keyspace. */
  private readonly creating = new Map<string, Promise<GroupId>>();

  constructor(node: UnumNode) {
    this.node = node;
    this.placement = new Placement(node);
  }

  open(call: Call): void {
    const reader = new Reader(call.request.body);
    const create = reader.u8() !== 0;
    const name = reader.text();
    reader.finish();
    if (!namePattern.test(name))
      throw new UnumError("INVALID_ARGUMENT", `A keyspace's name is 1 to 63 letters, digits, ".", "_" or "-"; "${name}" is not.`);
    const known = this.node.directory?.state?.keyspaces.get(name);
    if (known !== undefined) call.reply(groupBytes(known));
    else if (this.node.groups.get(systemGroup)?.isServing !== true) this.node.gate.elsewhere(call);
    else if (create && this.node.gate.refusesGrowth(systemGroup))
      call.fail(new UnumError("OUT_OF_SPACE", "No keyspace can be made: a disk or the memory of a node is nearly full."));
    else if (!create) call.fail(new UnumError("NOT_FOUND", `There is no keyspace "${name}".`));
    else {
      this.create(name).then(
        (group) => call.reply(groupBytes(group)),
        (error: unknown) => call.fail(asUnumError(error)),
      );
    }
  }

  private create(name: string): Promise<GroupId> {
    const busy = this.creating.get(name);
    if (busy !== undefined) return busy;
    const made = this.placement.createKeyspace(name, this.node.options.replicas).finally(() => this.creating.delete(name));
    this.creating.set(name, made);
    return made;
  }
}

function groupBytes(group: GroupId): Uint8Array {
  return new Writer(4).u32(group).take();
}
