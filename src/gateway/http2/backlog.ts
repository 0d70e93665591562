/** Somebody who keeps answers that its client has not taken. */
export interface Holder {
  /** It holds more than anybody, and all together hold too much: it must let go, in a turn of its own. */
  letGo(): void;
}

/**
 * What all connections keep of answers that nobody takes, together: one that reads slowly may keep much while memory is there for it,
 * and many that read nothing cannot add up to more than there is.
 */
export class Backlog {
  private readonly bytesMax: number;
  private readonly holders = new Map<Holder, number>();
  private total = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.total;
  }

  /** So much the holder has now; 0: nothing. */
  note(holder: Holder, bytes: number): void {
    this.total += bytes - (this.holders.get(holder) ?? 0);
    if (bytes === 0) this.holders.delete(holder);
    else this.holders.set(holder, bytes);
    if (this.total > this.bytesMax) this.largest()?.letGo();
  }

  private largest(): Holder | undefined {
    let found: Holder | undefined;
    let most = 0;
    for (const [holder, bytes] of this.holders) {
      if (bytes <= most) continue;
      most = bytes;
      found = holder;
    }
    return found;
  }
}
