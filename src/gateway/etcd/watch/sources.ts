import type { RawKeyspace, RawWatch, RawWatchOwner, RawWatchRequest, WatchChange } from "../../../api/index.ts";
import type { UnumError } from "../../../base/index.ts";

/** How many may begin at a time: all that a client asks for at once must not take the place of everybody's other calls. */
const beginningMax = 1_000;

/**
 * The watches of the machine that a gateway has. Whoever wants thousands at once gets them one after the other, and more than there is room for
 * are refused at once.
 */
export class Sources {
  private readonly kv: RawKeyspace;
  private readonly sourcesMax: number;
  private readonly waiting = new Set<Source>();
  private open = 0;
  private beginning = 0;

  constructor(kv: RawKeyspace, sourcesMax: number) {
    this.kv = kv;
    this.sourcesMax = sourcesMax;
  }

  get isFull(): boolean {
    return this.open >= this.sourcesMax;
  }

  watch(request: RawWatchRequest, owner: RawWatchOwner): RawWatch {
    this.open++;
    const source = new Source(request, owner, {
      begun: () => {
        this.beginning--;
        this.next();
      },
      gone: (begun) => {
        this.open--;
        this.waiting.delete(source);
        if (begun === false) this.beginning--;
        this.next();
      },
    });
    this.waiting.add(source);
    this.next();
    return source;
  }

  private next(): void {
    for (const source of this.waiting) {
      if (this.beginning >= beginningMax) return;
      this.waiting.delete(source);
      this.beginning++;
      source.start(this.kv);
    }
  }
}

interface Turns {
  begun(): void;
  /** Once. `begun` undefined: it was never started. */
  gone(begun: boolean | undefined): void;
}

/** One of them. Until its turn it remembers what it is asked. */
class Source implements RawWatch, RawWatchOwner {
  private readonly request: RawWatchRequest;
  private readonly owner: RawWatchOwner;
  private readonly turns: Turns;
  private raw: RawWatch | undefined;
  /** Undefined: not started. */
  private isBegun: boolean | undefined;
  private asked = false;
  private over = false;

  constructor(request: RawWatchRequest, owner: RawWatchOwner, turns: Turns) {
    this.request = request;
    this.owner = owner;
    this.turns = turns;
  }

  start(kv: RawKeyspace): void {
    this.isBegun = false;
    const raw = kv.watch(this.request, this);
    // It may have ended already.
    if (this.over) return raw.close();
    this.raw = raw;
    if (this.asked) raw.askProgress();
  }

  consumed(bytes: number): void {
    this.raw?.consumed(bytes);
  }

  askProgress(): void {
    this.asked = true;
    this.raw?.askProgress();
  }

  close(): void {
    if (this.over) return;
    this.finish();
    this.raw?.close();
  }

  began(revision: number): void {
    if (this.over) return;
    if (this.isBegun === false) {
      this.isBegun = true;
      this.turns.begun();
    }
    this.owner.began(revision);
  }

  changed(change: WatchChange, bytes: number): void {
    this.owner.changed(change, bytes);
  }

  progressed(revision: number): void {
    this.asked = false;
    this.owner.progressed(revision);
  }

  live(live: boolean): void {
    this.owner.live(live);
  }

  ended(error: UnumError | undefined): void {
    if (this.over) return;
    this.finish();
    this.owner.ended(error);
  }

  private finish(): void {
    this.over = true;
    this.turns.gone(this.isBegun);
  }
}
