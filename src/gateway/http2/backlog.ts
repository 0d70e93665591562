/** Somebody who keeps answers that its client has not taken. */
export interface Holder {
  /** It holds more than anybody, and all together hold too much: it must let go, in a turn of its own. */
  letGo(): void;
}

/** Less is not counted: the answers of a turn, mostly. */
const littleBytes = 16 * 1024;

/**
 * What all connections keep of answers that nobody takes, together: one that reads slowly may keep much while memory is there for it,
 * and many that read nothing cannot add up to more than there is.
 */
export class Backlog {
  private readonly bytesMax: number;
  /** Those that hold something. */
  private readonly shares = new Set<Share>();
  private total = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.total;
  }

  share(holder: Holder): Share {
    return new Share(holder, (share, bytes) => this.change(share, bytes));
  }

  private change(share: Share, bytes: number): void {
    this.total += bytes - share.bytes;
    if (bytes === 0) this.shares.delete(share);
    else this.shares.add(share);
    share.bytes = bytes;
    if (this.total > this.bytesMax) this.largest()?.holder.letGo();
  }

  private largest(): Share | undefined {
    let found: Share | undefined;
    for (const share of this.shares) if (found === undefined || share.bytes > found.bytes) found = share;
    return found;
  }
}

/** One connection's. */
export class Share {
  readonly holder: Holder;
  /** As it was counted last. */
  bytes = 0;
  private readonly change: (share: Share, bytes: number) => void;

  constructor(holder: Holder, change: (share: Share, bytes: number) => void) {
    this.holder = holder;
    this.change = change;
  }

  /** So much is held now. */
  note(bytes: number): void {
    const counted = bytes < littleBytes ? 0 : bytes;
    if (counted !== this.bytes) this.change(this, counted);
  }
}
