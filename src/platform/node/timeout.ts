import type { Surroundings } from "../../ports/index.ts";
import type { Timer } from "../../ports/index.ts";

/** What `setTimeout` and `setInterval` give where time is a stand-in: the platform's object, as far as programs use it. */
export class Timeout {
  private readonly surroundings: Surroundings;
  private readonly callback: () => void;
  private readonly delayMs: number;
  private readonly repeat: boolean;
  private timer: Timer;

  constructor(surroundings: Surroundings, callback: () => void, delayMs: number, repeat: boolean) {
    this.surroundings = surroundings;
    this.callback = callback;
    // As the platform does: what is no delay, or too long a one, is 1 ms.
    this.delayMs = repeat && !(delayMs >= 1) ? 1 : delayMs >= 0 && delayMs <= 0x7fff_ffff ? delayMs : 1;
    this.repeat = repeat;
    this.timer = this.start();
  }

  private start(): Timer {
    return this.surroundings.after(this.delayMs, () => {
      if (this.repeat) this.timer = this.start();
      this.callback();
    });
  }

  /** Virtual time ends with the simulation, not with the last timer. */
  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  hasRef(): boolean {
    return true;
  }

  refresh(): this {
    this.timer.cancel();
    this.timer = this.start();
    return this;
  }

  close(): this {
    this.timer.cancel();
    return this;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
