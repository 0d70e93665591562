import type { RawKeyspace } from "../../api/index.ts";
import type { Clock, Timer } from "../../ports/index.ts";
import type { Call } from "./grpc/index.ts";
import { etcdErrors } from "../../etcd/index.ts";
import type { GrpcError } from "../../etcd/index.ts";

/** Three election timeouts, as etcd waits: a change of leaders shall not end streams. */
const patienceMs = 3_000;

/** Whether there is a leader, for the calls whose clients ask (`hasleader`). */
export class LeaderMonitor {
  private readonly kv: RawKeyspace;
  private readonly clock: Clock;
  private readonly waiting = new Set<(error: GrpcError) => void>();
  private timer: Timer | undefined;
  private readonly release: () => void;

  constructor(kv: RawKeyspace, clock: Clock) {
    this.kv = kv;
    this.clock = clock;
    this.release = kv.onLeader(() => this.changed());
  }

  require(call: Call, lost: (error: GrpcError) => void): () => void {
    if (call.fields["hasleader"] !== "true") return () => undefined;
    if (this.kv.leader.node === undefined) throw etcdErrors.noLeader();
    this.waiting.add(lost);
    return () => this.waiting.delete(lost);
  }

  close(): void {
    this.release();
    this.timer?.cancel();
    this.waiting.clear();
  }

  private changed(): void {
    this.timer?.cancel();
    this.timer = undefined;
    if (this.kv.leader.node !== undefined) return;
    this.timer = this.clock.after(patienceMs, () => {
      const waiting = [...this.waiting];
      this.waiting.clear();
      for (const lost of waiting) lost(etcdErrors.noLeader());
    });
  }
}
