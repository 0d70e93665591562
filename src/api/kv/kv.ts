import { UnumError, isUnumError } from "../../base/index.ts";
import { decodePutRevision } from "../../machine/commands/index.ts";
import type { Operation, OperationResult } from "../../machine/commands/index.ts";
import type { Decode } from "../client/call.ts";
import { expectResult } from "../client/replies.ts";
import { retryDelayMs } from "../client/retry.ts";
import { sleep } from "../client/sleep.ts";
import { timeoutMs } from "../duration.ts";
import { grantLease, leaseMs, revokeLease } from "../grant.ts";
import { leaseId } from "../lease-id.ts";
import type { StandardSchemaV1 } from "../schema.ts";
import type {
  Cache,
  CallOptions,
  Codec,
  Entry,
  KV,
  Key,
  Page,
  PutOptions,
  Range,
  ReadOptions,
  Watch,
  WatchOptions,
  WriteOptions,
} from "../types.ts";
import { openCache } from "./cache.ts";
import { codecOf, json } from "./codec.ts";
import { readFenced, writeFenced } from "./fence.ts";
import type { Fenced } from "./fence.ts";
import { byteString, isRange, keyString, keyText, rangeOf } from "./keys.ts";
import type { Keyspace } from "./keyspace.ts";
import { readPage, readPages } from "./pages.ts";
import { appliedAnyway, onlyReads, putOperation, revisionCompare, toTxnResult, txnOperation } from "./transaction.ts";
import type { TxnInput } from "./transaction.ts";
import { pageLimit, rangeQuery, revisionArgument, toEntry } from "./view.ts";
import type { View } from "./view.ts";
import { openWatch } from "./watch.ts";

type Written = { readonly revision: number };
type Removed = { readonly revision: number; readonly deleted: number };

/** The key-value store of a keyspace, with the default codec. */
export function openKv(space: Keyspace): KV {
  return new KvHandle(space, { prefix: "", codec: json }) as unknown as KV;
}

/**
 * Behind a prefix, through a codec. `KV` gives the caller's types; here a value is `unknown`. The
 * decoders are made once, so that a call makes no closure of its own.
 */
class KvHandle {
  private readonly space: Keyspace;
  private readonly view: View;
  private readonly decodePut: Decode<Written>;
  private readonly decodeGet: Decode<Entry<unknown> | undefined>;

  constructor(space: Keyspace, view: View) {
    this.space = space;
    this.view = view;
    this.decodePut = (body) => {
      const revision = decodePutRevision(body) ?? expectResult(body, "put").revision;
      space.note(revision);
      return { revision };
    };
    this.decodeGet = (body) => {
      const { revision, result } = expectResult(body, "range");
      space.note(revision);
      const entry = result.entries[0];
      return entry === undefined ? undefined : toEntry(view, entry);
    };
  }

  get(key: Key, options?: ReadOptions): Promise<Entry<unknown> | undefined> {
    try {
      const name = keyString(this.view.prefix, key);
      const revision = revisionArgument(options?.revision, "revision");
      if (revision === 0) return this.space.get(name, this.decodeGet, options);
      return this.space.query(rangeQuery({ key: name, end: "" }, 0, revision), this.decodeGet, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  put(key: Key, value: unknown, options?: PutOptions): Promise<Written> {
    try {
      const name = keyString(this.view.prefix, key);
      if (options === undefined) return this.space.command(putOperation(this.view, name, value, 0n), this.decodePut, undefined);
      if (options.ttl !== undefined) return this.putFor(name, value, options);
      const lease = options.lease === undefined ? 0n : leaseId(options.lease, this.space.name);
      return this.write(name, putOperation(this.view, name, value, lease), options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async update(key: Key, change: (value: unknown) => unknown, options: PutOptions = {}): Promise<Entry<unknown> | undefined> {
    const clock = this.space.client.clock;
    const name = keyString(this.view.prefix, key);
    const allowedMs = options.timeout === undefined ? this.space.client.timeoutMs : timeoutMs(options.timeout);
    const deadlineMs = clock.now() + allowedMs;
    const within = (): CallOptions => ({ signal: options.signal, timeout: Math.max(0, deadlineMs - clock.now()) });
    let current = await this.get(key, within());
    for (let attempt = 1; ; attempt++) {
      const revision = current?.revision ?? 0;
      if (options.ifRevision !== undefined && options.ifRevision !== revision) throw conflict(name, options.ifRevision, revision);
      const next = change(current?.value);
      if (next === undefined) return current;
      const lease = await this.leaseFor(options, within());
      const put = putOperation(this.view, name, next, lease.id);
      const read = rangeQuery({ key: name, end: "" }, 0, 0);
      const txn = { kind: "txn", compare: [revisionCompare(name, revision)], success: [put, read], failure: [read] } as const;
      const answer = await writeFenced(this.space, txn, { ...within(), fence: options.fence }, (_revision, result) =>
        this.takeUpdate(result),
      ).catch(async (error: unknown) => {
        await this.giveUp(lease, error);
        throw error;
      });
      if (answer.written) return answer.entry;
      await this.giveUp(lease, undefined);
      current = answer.entry;
      await sleep(clock, retryDelayMs(Math.min(attempt, 4), this.space.client.environment.prng), options.signal);
    }
  }

  delete(target: Key | Range, options?: WriteOptions): Promise<Removed> {
    try {
      if (isRange(target)) {
        if (options?.ifRevision !== undefined) throw new UnumError("INVALID_ARGUMENT", "ifRevision is for one key, not for a range.");
        const range = rangeOf(this.view.prefix, target);
        return writeFenced(this.space, { kind: "delete", ...range, previous: false }, options, takeDelete);
      }
      const name = keyString(this.view.prefix, target);
      const operation = { kind: "delete", key: name, end: "", previous: false } as const;
      if (options?.ifRevision === undefined) return writeFenced(this.space, operation, options, takeDelete);
      return this.guarded(name, operation, options.ifRevision, options, (revision, result) => ({
        revision,
        deleted: result?.kind === "delete" ? result.deleted : 0,
      }));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  range(range: Range, options?: ReadOptions & { readonly limit?: number | undefined }): Promise<Page<unknown>> {
    try {
      const query = rangeQuery(
        rangeOf(this.view.prefix, range),
        pageLimit(options?.limit),
        revisionArgument(options?.revision, "revision"),
      );
      return readPage(this.space, this.view, query, options).then((read) => read.page);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async *entries(range: Range, options?: ReadOptions): AsyncIterableIterator<Entry<unknown>> {
    for await (const { page } of readPages(this.space, this.view, rangeOf(this.view.prefix, range), options)) yield* page.entries;
  }

  watch(target: Range | { readonly key: Key }, options?: WatchOptions): Watch<unknown> {
    return openWatch(
      this.space,
      this.view,
      () => {
        if (typeof target === "object" && target !== null && "key" in target)
          return { key: keyString(this.view.prefix, target.key), end: "" };
        return rangeOf(this.view.prefix, target);
      },
      options,
    );
  }

  async cache(range: Range, options?: CallOptions): Promise<Cache<unknown>> {
    return await openCache(this.space, this.view, rangeOf(this.view.prefix, range), options);
  }

  txn(txn: TxnInput, options?: Fenced): Promise<unknown> {
    try {
      const operation = txnOperation(this.view, this.space.name, txn);
      const reads = onlyReads(operation);
      const take = (revision: number, result: OperationResult): unknown => {
        if (result.kind !== "txn") throw new UnumError("MALFORMED", "The answer to a transaction is none.");
        const read = (): unknown => toTxnResult(this.view, txn, revision, result);
        return reads ? read() : appliedAnyway(read);
      };
      if (!reads) return writeFenced(this.space, operation, options, take);
      if (options?.fence !== undefined) return readFenced(this.space, operation, options, take);
      const decode = (body: Uint8Array): unknown => {
        const { revision, result } = expectResult(body, "txn");
        this.space.note(revision);
        return take(revision, result);
      };
      return this.space.query(operation, decode, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  prefix(prefix: string): KvHandle {
    return new KvHandle(this.space, { prefix: this.view.prefix + byteString(prefix, "The prefix"), codec: this.view.codec });
  }

  with(given: StandardSchemaV1 | Codec<unknown>): KvHandle {
    return new KvHandle(this.space, { prefix: this.view.prefix, codec: codecOf(given) });
  }

  private write(name: string, operation: Operation & { readonly kind: "put" }, options: PutOptions): Promise<Written> {
    if (options.ifRevision === undefined) {
      if (options.fence === undefined) return this.space.command(operation, this.decodePut, options);
      return writeFenced(this.space, operation, options, (revision) => ({ revision }));
    }
    return this.guarded(name, operation, options.ifRevision, options, (revision) => ({ revision }));
  }

  /** One operation if the key is at `ifRevision`, else CONFLICT. */
  private guarded<T>(
    name: string,
    operation: Operation,
    ifRevision: number,
    options: Fenced,
    take: (revision: number, result: OperationResult | undefined) => T,
  ): Promise<T> {
    const wanted = revisionArgument(ifRevision, "ifRevision");
    const found = rangeQuery({ key: name, end: "" }, 0, 0, true);
    const txn = { kind: "txn", compare: [revisionCompare(name, wanted)], success: [operation], failure: [found] } as const;
    return writeFenced(this.space, txn, options, (revision, result) => {
      const { results, succeeded } = result as Extract<OperationResult, { kind: "txn" }>;
      const [first] = results;
      if (succeeded) return take(revision, first);
      throw conflict(name, wanted, first?.kind === "range" ? (first.entries[0]?.modRevision ?? 0) : 0);
    });
  }

  private takeUpdate(result: OperationResult): { readonly written: boolean; readonly entry: Entry<unknown> | undefined } {
    if (result.kind !== "txn") throw new UnumError("MALFORMED", "The answer to a transaction is none.");
    const read = result.results[result.succeeded ? 1 : 0];
    const entry = read?.kind === "range" ? read.entries[0] : undefined;
    const take = (): Entry<unknown> | undefined => (entry === undefined ? undefined : toEntry(this.view, entry));
    return { written: result.succeeded, entry: result.succeeded ? appliedAnyway(take) : take() };
  }

  /** A put with a time of its own: a lease that nobody keeps alive. */
  private putFor(name: string, value: unknown, options: PutOptions): Promise<Written> {
    const encoded = putOperation(this.view, name, value, 0n);
    return this.leaseFor(options, options).then((lease) =>
      this.write(name, { ...encoded, lease: lease.id }, options).catch(async (error: unknown) => {
        await this.giveUp(lease, error);
        throw error;
      }),
    );
  }

  private async leaseFor(options: PutOptions, call: CallOptions): Promise<{ readonly id: bigint; readonly own: boolean }> {
    if (options.ttl === undefined) return { id: options.lease === undefined ? 0n : leaseId(options.lease, this.space.name), own: false };
    if (options.lease !== undefined) throw new UnumError("INVALID_ARGUMENT", "An entry has a ttl or a lease, not both.");
    const granted = await grantLease(this.space, leaseMs(options.ttl), call);
    return { id: granted.id, own: true };
  }

  /** The lease of a put that was not applied is of no use; if nobody can be told, it ends by itself. */
  private async giveUp(lease: { readonly id: bigint; readonly own: boolean }, error: unknown): Promise<void> {
    if (!lease.own || (error !== undefined && !(isUnumError(error) && error.outcome === "not-applied"))) return;
    await revokeLease(this.space, lease.id, { timeout: 1000 }).catch((reason: unknown) => {
      this.space.client.environment.logger.debug("a lease was left to end by itself", { reason: String(reason) });
    });
  }
}

function takeDelete(revision: number, result: OperationResult): Removed {
  return { revision, deleted: result.kind === "delete" ? result.deleted : 0 };
}

function conflict(name: string, wanted: number, found: number): UnumError {
  const is = found === 0 ? "does not exist" : `is at revision ${found}`;
  return new UnumError(
    "CONFLICT",
    `${JSON.stringify(keyText(name))} ${is}, the write required ${wanted === 0 ? "that it does not exist" : `revision ${wanted}`}.`,
    {
      details: { key: keyText(name), revision: found, required: wanted },
    },
  );
}
