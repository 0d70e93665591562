import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bytes, op } from "./index.ts";
import type { Claim, Handle, Leader, Unum } from "./index.ts";

type Everything = Unum<"kv" | "lease" | "lock" | "election" | "semaphore" | "party" | "counter" | "sequence" | "schedule">;

export interface ClaimsUnderTest {
  /** Two programs over the same engine. */
  readonly handles: readonly [Everything, Everything];
  /** Closes what stands behind the handles; the suite has closed those. */
  close(): Promise<void>;
}

/** What locks, elections, semaphores, parties, counters, sequences and schedules promise over every engine. Real time passes. */
export function claimsContract(name: string, make: () => Promise<ClaimsUnderTest>): void {
  describe(`claims contract: ${name}`, () => {
    let made: ClaimsUnderTest;
    let number = 0;
    const both = (): readonly [Everything, Everything] => made.handles;
    const fresh = (): string => `claims/${name.replace(/\W/g, "-")}/${number++}`;

    beforeAll(async () => {
      made = await make();
      await Promise.all(made.handles.map((handle) => handle.ready));
    });

    afterAll(async () => {
      await Promise.all(made.handles.map((handle) => handle.close()));
      await made.close();
    });

    locks(both, fresh);
    fences(both, fresh);
    elections(both, fresh);
    others(both, fresh);
    schedules(both, fresh);
  });
}

type Both = () => readonly [Everything, Everything];

async function eventually<T>(look: () => Promise<T> | T, wanted: (value: T) => boolean): Promise<T> {
  const endMs = performance.now() + 20_000;
  for (;;) {
    const value = await look();
    if (wanted(value)) return value;
    if (performance.now() > endMs) throw new Error(`still ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function locks(both: Both, fresh: () => string): void {
  test("a lock has one holder; who waits gets it next, with a higher fence", async () => {
    const [a, b] = both();
    const lock = fresh();
    const first = await a.lock(lock).acquire();
    expect(first).toMatchObject({ name: lock, held: true });
    expect(await b.lock(lock).tryAcquire()).toBeUndefined();
    const waiting = b.lock(lock).acquire();
    let got = false;
    void waiting.then(() => {
      got = true;
    });
    await a.kv.put(`${lock}-elsewhere`, 1);
    expect(got).toBe(false);
    await first.close();
    const second = await waiting;
    expect(second.fence).toBeGreaterThan(first.fence);
    expect(first.held).toBe(false);
    expect(first.signal.aborted).toBe(true);
    await second.close();
  });

  test("ten that come at once hold it one after the other, and each a higher fence", async () => {
    const lock = fresh();
    const fences: number[] = [];
    let inside = 0;
    const work = async (claim: Claim): Promise<void> => {
      expect(++inside).toBe(1);
      fences.push(claim.fence);
      await new Promise((resolve) => setTimeout(resolve, 2));
      inside--;
    };
    await Promise.all(Array.from({ length: 10 }, (_, at) => both()[at % 2 === 0 ? 0 : 1].lock(lock).using(work)));
    expect(fences).toHaveLength(10);
    expect(fences).toEqual([...fences].sort((x, y) => x - y));
  });

  test("readers share, a writer does not; an aborted wait leaves no trace", async () => {
    const [a, b] = both();
    const lock = fresh();
    const readers = await Promise.all([a.lock(lock).shared.acquire(), b.lock(lock).shared.acquire()]);
    const gone = new AbortController();
    const writing = b.lock(lock).acquire({ signal: gone.signal });
    gone.abort(new Error("enough"));
    await expect(writing).rejects.toThrow("enough");
    await Promise.all(readers.map((reader) => reader.close()));
    const writer = await a.lock(lock).acquire({ timeout: "10s" });
    expect(await b.lock(lock).shared.tryAcquire()).toBeUndefined();
    await writer.close();
  });
}

function fences(both: Both, fresh: () => string): void {
  test("a write with the fence of a claim that has ended is FENCED, and nothing is written", async () => {
    const [a, b] = both();
    const lock = fresh();
    const first = await a.lock(lock).acquire();
    await a.kv.put(`${lock}/data`, "first", { fence: first });
    // As a holder that does not know it yet: its claim is taken away, not given up.
    const page = await b.kv.with(bytes).range({ prefix: `${lock}/` });
    const claimKey = page.entries.find((entry) => entry.createRevision === first.fence)?.keyBytes as Uint8Array;
    await b.kv.delete(claimKey);
    const fenced = { code: "FENCED", outcome: "not-applied" };
    await expect(a.kv.put(`${lock}/data`, "late", { fence: first })).rejects.toMatchObject(fenced);
    await expect(a.kv.txn({ do: [op.put(`${lock}/data`, "late")] }, { fence: first })).rejects.toMatchObject(fenced);
    await expect(a.kv.delete(`${lock}/data`, { fence: first })).rejects.toMatchObject(fenced);
    expect((await b.kv.get(`${lock}/data`))?.value).toBe("first");
    await first.close();
  });

  test("a claim whose holder stops renewing ends, its signal first", async () => {
    const [a, b] = both();
    const lock = fresh();
    const lease = await a.lease("2s", { keepAlive: false });
    const claim = b.lock(lock).acquire({ ttl: "2s" });
    await a.kv.put(`${lock}/mine`, 1, { lease });
    await eventually(
      () => lease.held,
      (held) => !held,
    );
    expect(lease.signal.aborted).toBe(true);
    expect(
      await eventually(
        () => b.kv.get(`${lock}/mine`),
        (entry) => entry === undefined,
      ),
    ).toBeUndefined();
    await (await claim).close();
  });
}

function elections(both: Both, fresh: () => string): void {
  test("one leads; when it stops the other does, under a higher fence, and everybody sees who", async () => {
    const [a, b] = both();
    const name = fresh();
    const led: { readonly who: string; readonly fence: number }[] = [];
    let leading = 0;
    const work =
      (who: string) =>
      async (claim: Claim): Promise<void> => {
        expect(++leading).toBe(1);
        led.push({ who, fence: claim.fence });
        await new Promise<void>((resolve) => claim.signal.addEventListener("abort", () => resolve()));
        leading--;
      };
    const first = a.election(name).run(work("a"), { data: "a" });
    await eventually(
      () => led.length,
      (count) => count === 1,
    );
    const second = b.election(name).run(work("b"), { data: "b" });
    await second.ready;
    expect((await b.election(name).leader())?.data).toBe("a");
    const seen: (Leader | undefined)[] = [];
    const watching = new AbortController();
    const observed = (async () => {
      for await (const leader of a.election(name).observe({ signal: watching.signal })) seen.push(leader);
    })().catch(() => undefined);
    await eventually(
      () => seen.length,
      (count) => count > 0,
    );
    await first.close();
    await eventually(
      () => led.length,
      (count) => count === 2,
    );
    await eventually(
      () => seen.at(-1)?.data,
      (data) => data === "b",
    );
    expect(led.map(({ who }) => who)).toEqual(["a", "b"]);
    expect(led[1]?.fence).toBeGreaterThan(led[0]?.fence ?? Number.POSITIVE_INFINITY);
    await second.close();
    watching.abort();
    await observed;
    expect(await a.election(name).leader()).toBeUndefined();
  });
}

function others(both: Both, fresh: () => string): void {
  test("a semaphore lets in as many as it has permits", async () => {
    const [a, b] = both();
    const name = fresh();
    const held: (Claim & Handle)[] = [await a.semaphore(name, 2).acquire(), await b.semaphore(name, 2).acquire()];
    expect(await a.semaphore(name, 2).tryAcquire()).toBeUndefined();
    await held[0]?.close();
    const next = await b.semaphore(name, 2).acquire({ timeout: "10s" });
    await Promise.all([next.close(), held[1]?.close()]);
  });

  test("a party shows who is here, in order, and who has left", async () => {
    const [a, b] = both();
    const name = fresh();
    const mine = await a.party(name).join({ port: 1 });
    await b.party(name).join({ port: 2 });
    expect((await b.party(name).members()).map(({ data }) => data)).toEqual([{ port: 1 }, { port: 2 }]);
    await mine.close();
    expect((await a.party(name).members()).map(({ data }) => data)).toEqual([{ port: 2 }]);
  });

  test("a counter loses no addition, a sequence gives no number twice", async () => {
    const name = fresh();
    await Promise.all(Array.from({ length: 40 }, (_, at) => both()[at % 2 === 0 ? 0 : 1].counter(`${name}/count`).add(1)));
    expect(await both()[0].counter(`${name}/count`).get()).toBe(40);
    const sequences = both().map((handle) => handle.sequence(`${name}/ids`, { block: 5 }));
    const ids = await Promise.all(Array.from({ length: 40 }, (_, at) => sequences[at % 2]?.next()));
    expect(new Set(ids).size).toBe(40);
  });
}

function schedules(both: Both, fresh: () => string): void {
  test("each tick of a schedule runs on one of the participants, under a fence that grows", async () => {
    const name = fresh();
    const ticks: { readonly at: number; readonly fence: number }[] = [];
    const run = ({ at, claim }: { readonly at: Date; readonly claim: Claim }): void => {
      ticks.push({ at: at.getTime(), fence: claim.fence });
    };
    const [a, b] = both();
    const taking = [a.schedule(name, { every: "1s" }, run), b.schedule(name, { every: "1s" }, run)];
    await eventually(
      () => ticks.length,
      (count) => count >= 3,
    );
    expect((await both()[0].schedules()).find((known) => known.name === name)).toMatchObject({ participants: 2 });
    await Promise.all(taking.map((part) => part.close()));
    const dues = ticks.map(({ at }) => at);
    expect(new Set(dues).size).toBe(dues.length);
    expect(dues).toEqual([...dues].sort((x, y) => x - y));
  });
}
