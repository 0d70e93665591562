import { UnumError, defaultGroup, defaultKeyspaceName, systemGroup } from "../base/index.ts";
import type { LeaderTransfer, MemberStatus, NodeStatus } from "../wire/index.ts";
import { askAdmin } from "./admin.ts";
import { readBackup } from "./backup.ts";
import { Seats, openCounter, openElection, openLock, openParty, openSemaphore, openSequence } from "./claims/index.ts";
import type { ClaimSpaceOptions, ClaimsHost, Counter, Election, GuardOptions, Lock, Party, Semaphore, Sequence } from "./claims/index.ts";
import { Client } from "./client/client.ts";
import { expectResult } from "./client/replies.ts";
import { asError, retryDelayMs } from "./client/retry.ts";
import { sleep } from "./client/sleep.ts";
import type { Duration } from "./duration.ts";
import { Keyspace } from "./kv/keyspace.ts";
import { openKv } from "./kv/kv.ts";
import { openRaw } from "./raw/index.ts";
import type { RawHandle, RawKeyspace } from "./raw/index.ts";
import { listSchedules, openSchedule } from "./schedule/index.ts";
import type { Schedule, ScheduleOptions, ScheduleStatus, Tick } from "./schedule/index.ts";
import { openLease } from "./lease.ts";
import type { BackupOptions, CallOptions, ClientOptions, Environment, KV, Lease, LeaseOptions, Status, UnumHandle } from "./types.ts";

/** A handle at once, without waiting: `ready` says when the cluster answers. Throws INVALID_ARGUMENT for wrong options. */
export function openHandle(environment: Environment, options: ClientOptions): UnumHandle {
  return new HandleImplementation(environment, options);
}

/** The same for gateways, which speak the machine's own words. */
export function openRawHandle(environment: Environment, options: ClientOptions): RawHandle {
  return new HandleImplementation(environment, options);
}

/** A keyspace of this handle, and what stands on it. */
interface Space {
  readonly space: Keyspace;
  readonly kv: KV;
  readonly claims: ClaimsHost;
}

const sequenceBlockDefault = 100;
/** Each is a write to its group before a claim is given out. */
const guardsMax = 16;

class HandleImplementation implements RawHandle {
  readonly kv: KV;
  readonly ready: Promise<void>;
  readonly closed: Promise<void>;
  private readonly environment: Environment;
  private readonly options: ClientOptions;
  private readonly client: Client;
  private readonly spaces = new Map<string, Space>();
  private readonly leases = new Set<Lease>();
  private closing: Promise<void> | undefined;
  private settleClosed: (reason: UnumError | undefined) => void = () => undefined;

  constructor(environment: Environment, options: ClientOptions) {
    this.environment = environment;
    this.options = options;
    this.client = new Client(environment, options);
    const space = new Keyspace(this.client, defaultKeyspaceName, defaultGroup);
    this.kv = this.add(space).kv;
    this.closed = new Promise((resolve, reject) => {
      this.settleClosed = (reason) => (reason === undefined ? resolve() : reject(reason));
    });
    this.closed.catch(() => undefined);
    this.ready = this.becomeReady(space);
    this.ready.catch(() => undefined);
    environment.stopped?.then(
      (reason) => this.stop(reason),
      (reason: unknown) => this.stop(asError(reason)),
    );
  }

  keyspace(name: string): KV {
    return this.known(name).kv;
  }

  raw(keyspace: string): RawKeyspace {
    return openRaw(this.known(keyspace).space);
  }

  async lease(ttl: Duration, options?: LeaseOptions): Promise<Lease> {
    const { space } = this.known(options?.keyspace ?? defaultKeyspaceName);
    const lease = await openLease(space, ttl, options, (ended) => this.leases.delete(ended));
    if (lease.held) this.leases.add(lease);
    return lease;
  }

  async status(options?: CallOptions): Promise<Status> {
    return (await askAdmin(this.client, { op: "status" }, options)).status;
  }

  async nodeStatus(options?: CallOptions): Promise<NodeStatus> {
    return (await askAdmin(this.client, { op: "node-status" }, options)).node;
  }

  async members(options?: CallOptions): Promise<readonly MemberStatus[]> {
    return (await askAdmin(this.client, { op: "members" }, options)).members;
  }

  async removeMember(member: string, options?: CallOptions): Promise<MemberStatus> {
    if (typeof member !== "string" || member === "") throw new UnumError("INVALID_ARGUMENT", "A member is named by its name or id.");
    return (await askAdmin(this.client, { op: "remove-member", member }, options)).member;
  }

  async transferLeader(
    options: CallOptions & { readonly keyspace?: string | undefined; readonly to?: string | undefined } = {},
  ): Promise<readonly LeaderTransfer[]> {
    const group = options.keyspace === undefined ? null : await this.known(options.keyspace).space.resolve(options);
    const request = { op: "transfer-leader", group, to: options.to ?? null } as const;
    return (await askAdmin(this.client, request, options, group ?? systemGroup)).transfers;
  }

  async keyspaces(options?: CallOptions): Promise<readonly { readonly name: string; readonly group: number }[]> {
    return (await askAdmin(this.client, { op: "keyspaces" }, options)).keyspaces;
  }

  snapshotSave(options: BackupOptions = {}): AsyncIterableIterator<Uint8Array> {
    return readBackup(this.client, options);
  }

  async leave(options?: CallOptions): Promise<void> {
    if (this.options.direct !== false) throw new UnumError("UNSUPPORTED", "This handle is no node: only a node can leave its cluster.");
    await askAdmin(this.client, { op: "leave" }, options);
    await this.close();
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  describe(): string {
    return this.client.describe();
  }

  schedule(
    name: string,
    when: string | { readonly every: Duration },
    run: (tick: Tick) => void | Promise<void>,
    options?: ScheduleOptions,
  ): Schedule {
    return openSchedule(this.known(defaultKeyspaceName), name, when, run, options);
  }

  schedules(options?: CallOptions): Promise<readonly ScheduleStatus[]> {
    return listSchedules(this.known(defaultKeyspaceName), options);
  }

  private known(name: string): Space {
    return this.spaces.get(name) ?? this.add(new Keyspace(this.client, name, undefined));
  }

  private add(space: Keyspace): Space {
    const seats = new Seats({ lease: (ttlMs, options) => this.lease(ttlMs, { ...options, keyspace: space.name }) });
    const made = { space, kv: openKv(space), claims: { space, seats, scope: this.environment.scope, guards: [] } };
    this.spaces.set(space.name, made);
    return made;
  }

  private claims(options: GuardOptions | undefined): ClaimsHost {
    const { claims } = this.known(options?.keyspace ?? defaultKeyspaceName);
    const guards = options?.guards ?? [];
    if (!Array.isArray(guards) || guards.length > guardsMax)
      throw new UnumError("INVALID_ARGUMENT", `guards is a list of at most ${guardsMax} names of keyspaces.`);
    const others = [...new Set(guards)].filter((name) => name !== claims.space.name);
    return others.length === 0 ? claims : { ...claims, guards: others.map((name) => this.known(name).space) };
  }

  lock(name: string, options?: GuardOptions): Lock {
    return openLock(this.claims(options), name);
  }

  election(name: string, options?: GuardOptions): Election {
    return openElection(this.claims(options), name);
  }

  semaphore(name: string, permits: number, options?: ClaimSpaceOptions): Semaphore {
    return openSemaphore(this.claims(options), name, permits);
  }

  party(name: string, options?: ClaimSpaceOptions): Party {
    return openParty(this.claims(options), name);
  }

  counter(name: string, options?: ClaimSpaceOptions): Counter {
    return openCounter(this.known(options?.keyspace ?? defaultKeyspaceName).kv, name);
  }

  sequence(name: string, options?: ClaimSpaceOptions & { readonly block?: number | undefined }): Sequence {
    return openSequence(this.known(options?.keyspace ?? defaultKeyspaceName).kv, name, options?.block ?? sequenceBlockDefault);
  }

  /** A linearizable read went through: some node is a member, and the default keyspace has a leader. */
  private async becomeReady(space: Keyspace): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await space.query({ kind: "summary" }, (body) => expectResult(body, "summary"), undefined);
        return;
      } catch (error) {
        const reason = this.client.ended ?? asError(error);
        if (this.client.ended !== undefined || reason.retry === "never") throw reason;
        await sleep(this.environment.clock, retryDelayMs(attempt, this.environment.prng), undefined);
      }
    }
  }

  /** What stands behind the handle is gone: nothing is left to be told. */
  private stop(reason: UnumError): void {
    if (this.closing !== undefined) return;
    this.client.fail(new UnumError("NODE_STOPPED", `The node has stopped: ${reason.message}`, { cause: reason }));
    this.closing = this.client.close().then(() => this.settleClosed(reason));
  }

  private async end(): Promise<void> {
    const revoked = [...this.leases].map((lease) => lease.close());
    this.client.stopAccepting();
    await Promise.all(revoked);
    this.client.fail(new UnumError("CLOSED"));
    await this.client.close();
    try {
      await this.options.onClose?.();
      this.settleClosed(undefined);
    } catch (error) {
      this.environment.logger.warn("the node behind the handle did not close in order", { reason: String(error) });
      this.settleClosed(asError(error));
    }
  }
}
