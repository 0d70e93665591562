import { UnumError, isUnumError } from "../../base/index.ts";
import type { CallOptions } from "../basics.ts";
import type { Claim } from "../claims/index.ts";
import type { Client } from "../client/client.ts";
import { retryDelayMs } from "../client/retry.ts";
import { sleep } from "../client/sleep.ts";
import type { AbortSignalLike } from "../signal.ts";
import type { KV } from "../types.ts";
import type { PastTick } from "./types.ts";

const historyMax = 20;
const triggersMax = 100;

interface Past {
  readonly at: number;
  readonly attempt: number;
  readonly outcome: PastTick["outcome"];
  readonly ranMs: number;
}

/** What is kept of a schedule, as JSON under one key. Times are milliseconds since 1970. */
export interface ScheduleRecord {
  /** No tick up to here is run any more, but for the one that is running. */
  readonly last: number;
  readonly running: { readonly at: number; readonly attempt: number; readonly began: number } | null;
  /** Asked for by hand, not yet begun. */
  readonly triggers: readonly number[];
  readonly history: readonly Past[];
}

/** The record of one schedule. Changes by the node that runs it carry its fence. */
export class Records {
  private readonly kv: KV;
  private readonly client: Client;
  private readonly key: string;

  constructor(kv: KV, client: Client, name: string) {
    this.kv = kv;
    this.client = client;
    this.key = recordKey(name);
  }

  async read(options?: CallOptions): Promise<ScheduleRecord | undefined> {
    return (await this.kv.get<ScheduleRecord>(this.key, options))?.value;
  }

  /** Repeats until the cluster has answered or the claim is gone: what is run must be written down. */
  async change(claim: Claim, change: (record: ScheduleRecord) => ScheduleRecord, nowMs: number): Promise<ScheduleRecord> {
    for (let attempt = 1; ; attempt++) {
      claim.throwIfLost();
      try {
        const entry = await this.kv.update<ScheduleRecord>(this.key, (record) => change(record ?? blank(nowMs)), { fence: claim });
        if (entry === undefined) throw new UnumError("NOT_FOUND", "The record of the schedule is gone.");
        return entry.value;
      } catch (error) {
        if (this.client.ended !== undefined || !isUnumError(error) || error.retry === "never") throw error;
        await sleep(this.client.clock, retryDelayMs(attempt, this.client.environment.prng), claim.signal as AbortSignalLike);
      }
    }
  }

  async trigger(nowMs: number, options: CallOptions | undefined): Promise<void> {
    await this.kv.update<ScheduleRecord>(
      this.key,
      (given) => {
        const record = given ?? blank(nowMs);
        if (record.triggers.length >= triggersMax)
          throw new UnumError("OVERLOADED", `${triggersMax} runs were asked for by hand and have not begun.`);
        return { ...record, triggers: [...record.triggers, nowMs] };
      },
      options,
    );
  }

  watchKey(): string {
    return this.key;
  }
}

/** A schedule begins with its first registration: ticks before it were nobody's. */
function blank(nowMs: number): ScheduleRecord {
  return { last: nowMs, running: null, triggers: [], history: [] };
}

export const schedulePrefix = "schedules/";

export function recordKey(name: string): string {
  return `${schedulePrefix}${name}`;
}

/** The line in which participants stand, and the key that draws the revisions of their registrations. */
export function scheduleLine(name: string): string {
  return `${schedulePrefix}${name}${lineSuffix}`;
}

const lineSuffix = "/participants";
const registeredSuffix = `${lineSuffix}.registered`;

export function registeredKey(name: string): string {
  return `${schedulePrefix}${name}${registeredSuffix}`;
}

/** The schedule that a key under the prefix tells of; undefined for a place in line. */
export function nameOf(key: string): string | undefined {
  const rest = key.slice(schedulePrefix.length);
  return rest.endsWith(registeredSuffix) ? rest.slice(0, -registeredSuffix.length) : undefined;
}

export function ended(record: ScheduleRecord, past: Past): ScheduleRecord {
  return { ...record, history: [past, ...record.history].slice(0, historyMax) };
}

export function pastTicks(record: ScheduleRecord | undefined): PastTick[] {
  return (record?.history ?? []).map(({ at, attempt, outcome, ranMs }) => ({ at: new Date(at), attempt, outcome, ranMs }));
}
