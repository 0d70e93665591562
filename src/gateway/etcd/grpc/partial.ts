/** A request that has begun to come. */
export interface Partial {
  /** Others need the memory more: it ends here. */
  giveUp(): void;
}

/**
 * What is kept of requests that are not whole, all together: a client may begin as many as it likes, and needs to end none of them. When they
 * take too much, those go that waited longest for their next bytes.
 */
export class Partials {
  private readonly bytesMax: number;
  /** Who got bytes last stands last. */
  private readonly held = new Map<Partial, number>();
  private total = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get bytes(): number {
    return this.total;
  }

  /** So much is kept of the request now; 0: nothing. Told after each of its pieces. */
  note(request: Partial, bytes: number): void {
    const before = this.held.get(request);
    if (before === undefined && bytes === 0) return;
    this.total += bytes - (before ?? 0);
    this.held.delete(request);
    if (bytes > 0) this.held.set(request, bytes);
    while (this.total > this.bytesMax) {
      const [oldest] = this.held.keys();
      if (oldest === undefined) return;
      this.note(oldest, 0);
      oldest.giveUp();
    }
  }
}
