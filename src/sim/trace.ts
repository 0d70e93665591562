/**
 * A rolling hash of all that happened (two FNV-1a lanes of 32 bits). The same seed twice must give
 * the same hash; when it does not, `record` of both runs shows the first difference.
 */
export class Trace {
  private low = 0x811c9dc5;
  private high = 0x9747b28c;
  private readonly record: ((line: string) => void) | undefined;

  constructor(record?: (line: string) => void) {
    this.record = record;
  }

  /** One thing that happened, at a virtual time in microseconds. */
  event(timeUs: number, text: string): void {
    this.number(timeUs);
    let low = this.low;
    let high = this.high;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      low = Math.imul(low ^ unit, 0x01000193);
      high = Math.imul(high ^ unit, 0x85ebca6b) + 1;
    }
    this.low = low;
    this.high = high ^ (high >>> 15);
    this.record?.(`${(timeUs / 1000).toFixed(3)} ${text}`);
  }

  private number(value: number): void {
    const upper = Math.floor(value / 0x1_0000_0000);
    this.low = Math.imul(this.low ^ (value >>> 0), 0x01000193);
    this.low = Math.imul(this.low ^ upper, 0x01000193);
    this.high = Math.imul(this.high ^ (value >>> 0), 0x85ebca6b) + upper;
  }

  /** 16 hex digits. */
  get hash(): string {
    return (this.high >>> 0).toString(16).padStart(8, "0") + (this.low >>> 0).toString(16).padStart(8, "0");
  }
}
