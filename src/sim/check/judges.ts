import type { GroupId } from "../../base/index.ts";
import type { Message } from "../../raft/index.ts";
import { DurableLogs } from "./durable-logs.ts";
import { Mandates } from "./mandates.ts";
import type { Standing } from "./mandates.ts";
import { WirePromises } from "./promises.ts";
import { ReadRounds } from "./reads.ts";
import { Renewals } from "./renewals.ts";

/** All who judge what replicas say and do while they say and do it, whatever their clients see of it. */
export class Judges {
  readonly logs = new DurableLogs();
  readonly mandates = new Mandates();
  readonly promises = new WirePromises();
  readonly reads = new ReadRounds();
  readonly renewals = new Renewals();

  /** A message leaves its machine. `standing`: of its sender; undefined when that is not there any more. */
  sent(group: GroupId, message: Message, standing: Standing | undefined): void {
    this.promises.sent(group, message);
    this.reads.sent(group, message);
    this.renewals.sent(group, message);
    this.mandates.sent(group, message, standing);
    if (message.type === "append-response" && !message.rejected && standing !== undefined && (message.suspect ?? 0) === 0)
      this.logs.acknowledged(group, message.from, message.term, message.index);
  }

  /** What each found, by its name. */
  *violations(): Iterable<readonly [judge: string, found: string]> {
    for (const found of this.promises.violations) yield ["promises", found];
    for (const found of this.mandates.violations) yield ["mandates", found];
    for (const found of this.reads.violations) yield ["read rounds", found];
    for (const found of this.renewals.violations) yield ["renewals", found];
    for (const found of this.logs.violations) yield ["durable logs", found];
  }
}
