import { UnumError, isUnumError } from "../../base/index.ts";
import type { CallOptions, Running } from "../basics.ts";
import { openElection, openParty } from "../claims/index.ts";
import type { Claim, ClaimsHost } from "../claims/index.ts";
import { retryDelayMs } from "../client/retry.ts";
import { sleep } from "../client/sleep.ts";
import { durationMs } from "../duration.ts";
import type { Duration } from "../duration.ts";
import { makeAbortController } from "../signal.ts";
import type { AbortSignalLike } from "../signal.ts";
import type { KV } from "../types.ts";
import { bytes } from "../kv/codec.ts";
import { Records, ended, nameOf, pastTicks, registeredKey, scheduleLine, schedulePrefix } from "./record.ts";
import type { ScheduleRecord } from "./record.ts";
import type { PastTick, Schedule, ScheduleOptions, ScheduleStatus, Tick } from "./types.ts";
import { nextTick, ticksBetween, whenText } from "./when.ts";
import type { WhenText } from "./when.ts";

export interface ScheduleHost {
  readonly claims: ClaimsHost;
  readonly kv: KV;
}

/** What a participant says of itself in line. */
interface Registration extends WhenText {
  /** Revision of the registration: the highest one's `when` holds. */
  readonly registered: number;
}

/** A sleep is cut in pieces, so that a clock that was set is noticed. */
const napMsMax = 30_000;
const missedMax = 1_000;

export type Run = (tick: Tick) => void | Promise<void>;

/** INVALID_ARGUMENT for a name, a `when` or options that are none. */
export function openSchedule(
  host: ScheduleHost,
  name: string,
  when: string | { readonly every: Duration },
  run: Run,
  options: ScheduleOptions = {},
): Schedule {
  const text = whenText(when, options.timezone);
  checkOptions(options);
  return new Participant(host, name, text, run, options);
}

function checkOptions({ interrupted, jitter, missed, overlap }: ScheduleOptions): void {
  const oneOf = (what: string, value: string | undefined, values: readonly string[]): void => {
    if (value !== undefined && !values.includes(value))
      throw new UnumError("INVALID_ARGUMENT", `${what} is one of ${values.join(", ")}, not ${JSON.stringify(value)}.`);
  };
  oneOf("overlap", overlap, ["skip", "wait"]);
  oneOf("missed", missed, ["skip", "last", "all"]);
  oneOf("interrupted", interrupted, ["retry", "skip"]);
  if (jitter !== undefined) durationMs(jitter, "jitter");
}

/** All schedules that a record or a registration tells of. */
export async function scheduleStatus(host: ScheduleHost, name: string, options?: CallOptions): Promise<ScheduleStatus> {
  const [record, registrations] = await Promise.all([
    new Records(host.kv, host.claims.space.client, name).read(options),
    registrationsOf(host, name, options),
  ]);
  const newest = newestOf(registrations);
  const others = registrations.filter(({ timezone, when }) => when !== newest?.when || timezone !== newest.timezone);
  const next = newest === undefined ? undefined : nextTick(newest, Math.max(record?.last ?? 0, host.claims.space.client.clock.wall()));
  return {
    name,
    when: newest?.when ?? "",
    timezone: newest?.timezone ?? "",
    disagreement: [...new Set(others.map(({ timezone, when }) => (timezone === "" ? when : `${when} (${timezone})`)))],
    participants: registrations.length,
    next: next === undefined ? undefined : new Date(next),
    history: pastTicks(record),
  };
}

/** All of them, by name. */
export async function listSchedules(host: ScheduleHost, options?: CallOptions): Promise<readonly ScheduleStatus[]> {
  const names = new Set<string>();
  for await (const { key } of host.kv.with(bytes).entries({ prefix: schedulePrefix }, options)) {
    const name = nameOf(key);
    if (name !== undefined) names.add(name);
  }
  return Promise.all([...names].map((name) => scheduleStatus(host, name, options)));
}

async function registrationsOf(host: ScheduleHost, name: string, options: CallOptions | undefined): Promise<Registration[]> {
  const members = await openParty(host.claims, scheduleLine(name)).members(options);
  return members.map(({ data }) => data).filter(isRegistration);
}

function isRegistration(data: unknown): data is Registration {
  const { registered, timezone, when } = (data ?? {}) as Partial<Registration>;
  return typeof registered === "number" && typeof timezone === "string" && typeof when === "string";
}

function newestOf(registrations: readonly Registration[]): Registration | undefined {
  return registrations.reduce<Registration | undefined>(
    (best, candidate) => (best === undefined || candidate.registered > best.registered ? candidate : best),
    undefined,
  );
}

/**
 * One participant. The leader of the schedule's line runs all of its ticks, one after the other; what it begins and ends
 * is written down under its fence, so that the next leader knows what was cut off.
 */
class Participant implements Schedule {
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  private readonly host: ScheduleHost;
  private readonly name: string;
  private readonly text: WhenText;
  private readonly work: Run;
  private readonly options: ScheduleOptions;
  private readonly records: Records;
  private readonly stop = makeAbortController();
  private election: Running | undefined;
  /** Ticks up to here passed before this participant led: they are late, and overlap with nothing. */
  private backlogMs = 0;

  constructor(host: ScheduleHost, name: string, text: WhenText, work: Run, options: ScheduleOptions) {
    this.host = host;
    this.name = name;
    this.text = text;
    this.work = work;
    this.options = options;
    this.records = new Records(host.kv, host.claims.space.client, name);
    // A wrong name is told at once, not in the background.
    openParty(host.claims, scheduleLine(name));
    const registered = this.register();
    this.ready = registered.then((election) => election.ready);
    this.closed = registered.then((election) => election.closed);
    this.ready.catch(() => undefined);
    this.closed.catch(() => undefined);
    const { signal } = options;
    if (signal?.aborted === true) void this.close();
    else signal?.addEventListener("abort", () => void this.close());
  }

  async next(options?: CallOptions): Promise<Date | undefined> {
    return (await scheduleStatus(this.host, this.name, options)).next;
  }

  async history(options?: CallOptions): Promise<readonly PastTick[]> {
    return pastTicks(await this.records.read(options));
  }

  async trigger(options?: CallOptions): Promise<void> {
    await this.records.trigger(this.wallMs(), options);
  }

  async close(): Promise<void> {
    this.stop.abort(new UnumError("CLOSED", `The registration of "${this.name}" was closed.`));
    await this.ready.catch(() => undefined);
    await this.election?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private get client(): ScheduleHost["claims"]["space"]["client"] {
    return this.host.claims.space.client;
  }

  private wallMs(): number {
    return this.client.clock.wall();
  }

  /** Draws the revision of the registration, then stands in line. */
  private async register(): Promise<Running> {
    for (let attempt = 1; ; attempt++) {
      try {
        const { revision } = await this.host.kv.put(registeredKey(this.name), this.text, { signal: this.stop.signal });
        const data: Registration = { ...this.text, registered: revision };
        this.election = openElection(this.host.claims, scheduleLine(this.name)).run((claim) => this.lead(claim), {
          data,
          ttl: this.options.ttl,
          signal: this.stop.signal,
          onError: (error) => this.report(error),
        });
        return this.election;
      } catch (error) {
        if (this.stop.signal.aborted || this.client.ended !== undefined || !isUnumError(error) || error.retry === "never") throw error;
        await sleep(this.client.clock, retryDelayMs(attempt, this.client.environment.prng), this.stop.signal);
      }
    }
  }

  private async lead(claim: Claim): Promise<void> {
    let record = await this.records.change(claim, (given) => given, this.wallMs());
    if (record.running !== null) record = await this.resume(claim, record.running);
    record = await this.catchUp(claim, record);
    while (claim.held && !claim.signal.aborted) {
      const [trigger] = record.triggers;
      if (trigger !== undefined) {
        record = await this.runOne(claim, trigger, 1, (given) => ({ ...given, triggers: given.triggers.slice(1) }));
        continue;
      }
      const newest = newestOf(await registrationsOf(this.host, this.name, undefined)) ?? this.text;
      const due = nextTick(newest, record.last);
      const nowMs = this.wallMs();
      if (due === undefined || due > nowMs) {
        await this.nap(claim, due === undefined ? napMsMax : due - nowMs);
        record = (await this.records.read()) ?? record;
        continue;
      }
      record = await this.runDue(claim, newest, due);
    }
  }

  /** A tick is due: those that passed while the one before it ran are dropped or follow. */
  private async runDue(claim: Claim, text: WhenText, due: number): Promise<ScheduleRecord> {
    const late = ticksBetween(text, due, this.wallMs(), missedMax);
    if (late.length === 0 || due <= this.backlogMs || this.options.overlap === "wait") return this.runOne(claim, due, 1, (given) => given);
    // The run before took longer than the period: only the newest tick counts.
    const [newest, ...dropped] = [due, ...late].reverse() as [number, ...number[]];
    return this.drop(claim, dropped.reverse(), newest, "skipped");
  }

  private async drop(claim: Claim, ticks: readonly number[], last: number, outcome: "skipped" | "missed"): Promise<ScheduleRecord> {
    return this.records.change(
      claim,
      (given) => ({
        ...ticks.reduce((sum, at) => ended(sum, { at, attempt: 0, outcome, ranMs: 0 }), given),
        last: Math.max(given.last, outcome === "skipped" ? last - 1 : last),
      }),
      this.wallMs(),
    );
  }

  /** The leader before was cut off within an attempt. */
  private async resume(claim: Claim, cut: NonNullable<ScheduleRecord["running"]>): Promise<ScheduleRecord> {
    const { at, attempt } = cut;
    const noted = await this.records.change(
      claim,
      (given) => (given.running === null ? given : { ...ended(given, { at, attempt, outcome: "interrupted", ranMs: 0 }), running: null }),
      this.wallMs(),
    );
    if ((this.options.interrupted ?? "retry") === "skip") return noted;
    return this.runOne(claim, at, attempt + 1, (given) => given);
  }

  /** Ticks that passed while nobody was there. */
  private async catchUp(claim: Claim, record: ScheduleRecord): Promise<ScheduleRecord> {
    const text = newestOf(await registrationsOf(this.host, this.name, undefined)) ?? this.text;
    const passed = ticksBetween(text, record.last, this.wallMs(), missedMax);
    const policy = this.options.missed ?? "skip";
    const newest = passed.at(-1);
    if (newest === undefined) return record;
    this.backlogMs = newest;
    if (policy === "all") return record;
    const dropped = policy === "last" || this.isFresh(newest) ? passed.slice(0, -1) : passed;
    const last = dropped.at(-1);
    return last === undefined ? record : this.drop(claim, dropped, last, "missed");
  }

  /** Within the time that a change of leader takes, a tick is late, not missed. */
  private isFresh(at: number): boolean {
    const ttlMs = this.options.ttl === undefined ? 10_000 : durationMs(this.options.ttl, "ttl");
    return this.wallMs() - at <= 2 * ttlMs;
  }

  private async runOne(
    claim: Claim,
    at: number,
    attempt: number,
    alter: (record: ScheduleRecord) => ScheduleRecord,
  ): Promise<ScheduleRecord> {
    await this.jitter(claim);
    const began = this.wallMs();
    await this.records.change(
      claim,
      (given) => ({ ...alter(given), last: Math.max(given.last, at), running: { at, attempt, began } }),
      began,
    );
    const startedMs = this.client.clock.now();
    let outcome: "completed" | "failed" = "completed";
    try {
      await this.work({ at: new Date(at), attempt, claim });
    } catch (error) {
      // Cut off with its claim: the next leader writes that down.
      claim.throwIfLost();
      if (claim.signal.aborted) throw error;
      outcome = "failed";
      this.report(error);
    }
    const ranMs = Math.round(this.client.clock.now() - startedMs);
    return this.records.change(claim, (given) => ({ ...ended(given, { at, attempt, outcome, ranMs }), running: null }), this.wallMs());
  }

  private async jitter(claim: Claim): Promise<void> {
    const ms = this.options.jitter === undefined ? 0 : durationMs(this.options.jitter, "jitter");
    if (ms > 0) await sleep(this.client.clock, this.client.environment.prng.below(Math.ceil(ms)), claim.signal as AbortSignalLike);
  }

  /** Until it is time, the claim ends, or somebody asks for a run. */
  private async nap(claim: Claim, ms: number): Promise<void> {
    const woken = makeAbortController();
    const signal = claim.signal as AbortSignalLike;
    const wake = (): void => woken.abort(new UnumError("CLOSED"));
    signal.addEventListener("abort", wake);
    const watch = this.host.kv.watch({ key: this.records.watchKey() }, { signal: woken.signal });
    void (async () => {
      for await (const _ of watch) wake();
    })().catch(() => undefined);
    try {
      await watch.started;
      // Between the last look and the watch somebody may have asked.
      if (((await this.records.read())?.triggers.length ?? 0) === 0) await sleep(this.client.clock, Math.min(ms, napMsMax), woken.signal);
    } catch (error) {
      if (!woken.signal.aborted && !isUnumError(error)) throw error;
    } finally {
      signal.removeEventListener("abort", wake);
      await watch.close();
    }
  }

  private report(error: unknown): void {
    const { logger } = this.client.environment;
    if (this.options.onError === undefined) {
      logger.warn("a run of a schedule failed", { name: this.name, error: String(error) });
      return;
    }
    try {
      this.options.onError(error);
    } catch (thrown) {
      logger.warn("onError of a schedule threw", { name: this.name, error: String(thrown) });
    }
  }
}
