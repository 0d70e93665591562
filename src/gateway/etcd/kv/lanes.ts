import type { Clock } from "../../../ports/index.ts";
import type { Call } from "../grpc/index.ts";
import { etcdErrors } from "../../../etcd/index.ts";

/** Ranges of one client that are read, or whose answers it has not taken. */
const lanesMax = 32;
/** How long one waits for its turn: as long as etcd works at a call. */
const waitMs = 7_000;

interface Lane {
  active: number;
  readonly waiting: Set<() => void>;
}

/**
 * Ranges of many keys may be large: those of one client are read a few at a time, and further ones wait until it has taken the answers to
 * the first. Who takes nothing makes little work and takes little memory, whatever it asks.
 */
export class Lanes {
  private readonly clock: Clock;
  private readonly lanes = new Map<string, Lane>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Undefined: it is its turn already. The lane is free again once the call's answer is taken, or its client gone. */
  enter(call: Call): Promise<void> | undefined {
    const { peer } = call;
    let lane = this.lanes.get(peer);
    if (lane === undefined) {
      lane = { active: 0, waiting: new Set() };
      this.lanes.set(peer, lane);
    }
    if (lane.active >= lanesMax) return this.turn(lane, call);
    this.take(lane, call);
    return undefined;
  }

  private take(lane: Lane, call: Call): void {
    lane.active++;
    call.onSettled(() => {
      lane.active--;
      const [next] = lane.waiting;
      if (next !== undefined) next();
      else if (lane.active === 0) this.lanes.delete(call.peer);
    });
  }

  private turn(lane: Lane, call: Call): Promise<void> {
    return new Promise((resolve, reject) => {
      const go = (): void => {
        lane.waiting.delete(go);
        timer.cancel();
        this.take(lane, call);
        resolve();
      };
      const timer = this.clock.after(waitMs, () => {
        if (lane.waiting.delete(go)) reject(etcdErrors.timeout());
      });
      lane.waiting.add(go);
      call.onCancel(() => {
        if (!lane.waiting.delete(go)) return;
        timer.cancel();
        reject(etcdErrors.stopped());
      });
    });
  }
}
