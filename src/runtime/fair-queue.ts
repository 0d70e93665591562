interface Lane<T> {
  readonly asker: unknown;
  readonly items: T[];
  readonly costs: number[];
  /** Of the first item that was not taken. */
  at: number;
  /** What it may take before it goes to the back again. */
  credit: number;
}

/** What an asker may take at a time before it is the next one's turn. */
const quantum = 64 * 1024;
/** Taken items in front of a lane that are worth moving the others for. */
const takenMax = 1024;

/**
 * What waits, one lane per asker, taken in turns: an asker with ten thousand items delays another
 * one's first by one turn per asker, not by ten thousand items (deficit round robin, Shreedhar and
 * Varghese 1995). Within a lane the order stays. Invariant: no lane is empty.
 */
export class FairQueue<T> {
  /** In the order of their turns. */
  private readonly lanes = new Map<unknown, Lane<T>>();
  /** Lanes that may not be taken from now. */
  private readonly parked = new Map<unknown, Lane<T>>();
  private count = 0;

  get size(): number {
    return this.count;
  }

  /** Whether `take` may give something. */
  get hasWork(): boolean {
    return this.lanes.size > 0;
  }

  /** Items of one asker. */
  waiting(asker: unknown): number {
    const lane = this.laneOf(asker);
    return lane === undefined ? 0 : lane.items.length - lane.at;
  }

  /** `cost` in bytes, about. */
  add(asker: unknown, item: T, cost: number): void {
    this.count++;
    const lane = this.laneOf(asker);
    if (lane === undefined) this.lanes.set(asker, { asker, items: [item], costs: [cost], at: 0, credit: quantum });
    else {
      lane.items.push(item);
      lane.costs.push(cost);
    }
  }

  private laneOf(asker: unknown): Lane<T> | undefined {
    return this.lanes.get(asker) ?? this.parked.get(asker);
  }

  /** The next item in turn. Lanes for which `mayTake` says no are parked until `unpark`. */
  take(mayTake?: (asker: unknown) => boolean): T | undefined {
    for (;;) {
      const [lane] = this.lanes.values();
      if (lane === undefined) return undefined;
      if (mayTake?.(lane.asker) === false) {
        this.lanes.delete(lane.asker);
        this.parked.set(lane.asker, lane);
        continue;
      }
      const cost = lane.costs[lane.at] as number;
      if (cost > lane.credit && this.lanes.size > 1) {
        lane.credit += quantum;
        this.lanes.delete(lane.asker);
        this.lanes.set(lane.asker, lane);
        continue;
      }
      lane.credit = Math.max(0, lane.credit - cost);
      return this.shift(lane);
    }
  }

  private shift(lane: Lane<T>): T {
    const item = lane.items[lane.at++] as T;
    this.count--;
    if (lane.at === lane.items.length) this.lanes.delete(lane.asker);
    else if (lane.at > takenMax) {
      lane.items.splice(0, lane.at);
      lane.costs.splice(0, lane.at);
      lane.at = 0;
    }
    return item;
  }

  unpark(asker: unknown): void {
    const lane = this.parked.get(asker);
    if (lane === undefined) return;
    this.parked.delete(asker);
    this.lanes.set(asker, lane);
  }

  /** All that an asker has waiting is forgotten. */
  drop(asker: unknown): readonly T[] {
    const lane = this.laneOf(asker);
    if (lane === undefined) return [];
    this.lanes.delete(asker);
    this.parked.delete(asker);
    const rest = lane.items.slice(lane.at);
    this.count -= rest.length;
    return rest;
  }

  /** Takes items from the front of every lane while they are `over`: of each lane only up to the first that is not. */
  *expire(over: (item: T) => boolean): Iterable<T> {
    for (const lanes of [this.lanes, this.parked]) {
      for (const lane of [...lanes.values()]) {
        while (lane.at < lane.items.length && over(lane.items[lane.at] as T)) {
          this.count--;
          yield lane.items[lane.at++] as T;
        }
        if (lane.at === lane.items.length) lanes.delete(lane.asker);
      }
    }
  }
}
