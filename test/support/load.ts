/** Writers whose every acknowledged write is checked afterwards, and a reader that checks that nothing goes back. */
import { isUnumError } from "../../dist/index.js";
import type { Unum } from "../../dist/index.js";

export class Load {
  acknowledged = 0;
  unknown = 0;
  /** Refused for certain: not applied. */
  refused = 0;
  longestPauseMs = 0;
  readonly failures: string[] = [];
  private readonly outcomes = new Map<string, "acknowledged" | "unknown" | "refused">();
  private readonly loops: Promise<void>[] = [];
  private running = true;
  private lastAcknowledgedMs = performance.now();

  /** `writers` loops, each with one write in flight; every write has its own key and a value derived from it. */
  constructor(handle: Unum, options: { readonly writers: number; readonly prefix: string }) {
    for (let writer = 0; writer < options.writers; writer++) this.loops.push(this.write(handle, `${options.prefix}${writer}/`));
    this.loops.push(this.read(handle, options.prefix));
  }

  private async write(handle: Unum, prefix: string): Promise<void> {
    for (let i = 0; this.running; i++) {
      const key = `${prefix}${i}`;
      try {
        await handle.kv.put(key, valueOf(key));
        this.acknowledged++;
        this.outcomes.set(key, "acknowledged");
        const now = performance.now();
        this.longestPauseMs = Math.max(this.longestPauseMs, now - this.lastAcknowledgedMs);
        this.lastAcknowledgedMs = now;
      } catch (error) {
        if (!isUnumError(error)) throw error;
        const outcome = error.outcome === "unknown" ? "unknown" : "refused";
        this[outcome]++;
        this.outcomes.set(key, outcome);
        this.failures.push(`${error.code}: ${error.message}`);
      }
    }
  }

  private async read(handle: Unum, prefix: string): Promise<void> {
    let seen = 0;
    while (this.running) {
      try {
        const page = await handle.kv.range({ prefix }, { limit: 1 });
        if (page.revision < seen) throw new Error(`a read went back in time: revision ${page.revision} after ${seen}`);
        seen = page.revision;
      } catch (error) {
        if (!isUnumError(error)) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  }

  resetPause(): void {
    this.longestPauseMs = 0;
    this.lastAcknowledgedMs = performance.now();
  }

  async stop(): Promise<void> {
    this.running = false;
    await Promise.all(this.loops);
  }

  /** Reads everything back; lists what is lost or wrong. Unknown outcomes may be either. */
  async check(handle: Unum): Promise<string[]> {
    const wrong: string[] = [];
    const keys = [...this.outcomes.keys()];
    for (let at = 0; at < keys.length; at += 500) {
      await Promise.all(
        keys.slice(at, at + 500).map(async (key) => {
          const entry = await handle.kv.get(key, { timeout: 20_000 });
          const outcome = this.outcomes.get(key);
          if (entry === undefined && outcome === "acknowledged") wrong.push(`lost: ${key}`);
          if (entry !== undefined && entry.value !== valueOf(key)) wrong.push(`wrong: ${key}`);
          if (entry !== undefined && outcome === "refused") wrong.push(`applied although refused: ${key}`);
        }),
      );
    }
    return wrong;
  }
}

function valueOf(key: string): string {
  return `value of ${key}`;
}

/** Waits for a condition that something else brings about; fails with what was last seen. */
export async function eventually(what: string, check: () => Promise<boolean> | boolean, deadlineMs = 20_000): Promise<void> {
  const end = performance.now() + deadlineMs;
  let last = "";
  for (;;) {
    try {
      if (await check()) return;
    } catch (error) {
      last = String(error);
    }
    if (performance.now() > end) throw new Error(`${what}: not within ${deadlineMs} ms${last === "" ? "" : `; last: ${last}`}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
