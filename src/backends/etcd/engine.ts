import { UnumError, unreachable } from "../../base/index.ts";
import { KV, Lease } from "../../etcd/index.ts";
import type { Command, Query, Reply, WatchRequest } from "../../machine/commands/index.ts";
import type { Engine, EngineCall, EngineWatch, Reading, WatchSink } from "../engine.ts";
import { EtcdClient } from "./client.ts";
import type { EtcdClientOptions } from "./client.ts";
import { refusalOf } from "./failure.ts";
import { KeepAlives } from "./keep-alives.ts";
import { accepted, deleteResult, numberOf, putResult, rangeResult, revisionOf, txnResult } from "./replies.ts";
import { deleteRequest, etcdLease, putRequest, rangeRequest, txnRequest } from "./requests.ts";
import { EtcdWatch } from "./watch.ts";

/**
 * An etcd v3 behind a handle. Its keyspace, revisions, transactions, leases and watches are the machine's own, so every command has
 * its counterpart; a fence is a comparison in the same transaction, as exact as in Unum.
 *
 * Differences: no exactly-once (what is lost on the way is UNKNOWN_OUTCOME), one keyspace, whole seconds of lease.
 */
export function openEtcdEngine(options: EtcdClientOptions): Engine {
  return new EtcdEngine(new EtcdClient(options));
}

class EtcdEngine implements Engine {
  readonly name: string;
  private readonly client: EtcdClient;
  private readonly keepAlives: KeepAlives;
  /** The highest that any answer has named. */
  private revision = 0;

  constructor(client: EtcdClient) {
    this.client = client;
    this.name = `etcd at ${client.endpoints}`;
    this.keepAlives = new KeepAlives(client);
  }

  command(command: Command, call: EngineCall): Promise<Reply> {
    return this.answer(this.change(command, call), true);
  }

  query(query: Query, reading: Reading, call: EngineCall): Promise<Reply> {
    return this.answer(this.read(query, reading, call), false);
  }

  keepAlive(lease: bigint, call: EngineCall): Promise<number> {
    return this.keepAlives.keepAlive(lease, call);
  }

  watch(request: WatchRequest, sink: WatchSink): EngineWatch {
    return new EtcdWatch(this.client, request, sink);
  }

  close(): Promise<void> {
    this.keepAlives.close();
    this.client.close();
    return Promise.resolve();
  }

  private async answer(work: Promise<Reply>, effect: boolean): Promise<Reply> {
    try {
      const reply = await work;
      this.revision = Math.max(this.revision, reply.revision);
      return reply;
    } catch (failure) {
      return refusalOf(failure, effect, this.revision);
    }
  }

  private async change(command: Command, call: EngineCall): Promise<Reply> {
    const { client } = this;
    switch (command.kind) {
      case "put": {
        const answer = await client.unary(KV.method.put, putRequest(command), call);
        return accepted(answer.header, putResult(answer));
      }
      case "delete": {
        const answer = await client.unary(KV.method.deleteRange, deleteRequest(command), call);
        return accepted(answer.header, deleteResult(answer));
      }
      case "txn": {
        const answer = await client.unary(KV.method.txn, txnRequest(command, false), call);
        return accepted(answer.header, txnResult(answer));
      }
      case "compact": {
        const answer = await client.unary(KV.method.compact, { revision: BigInt(command.revision) }, call);
        return accepted(answer.header, { kind: "done" });
      }
      case "lease-grant": {
        const request = { ID: etcdLease(command.lease), TTL: BigInt(Math.ceil(command.ttlMs / 1000)) };
        const { ID, TTL, header } = await client.unary(Lease.method.leaseGrant, request, call);
        const ttlMs = numberOf(TTL) * 1000;
        return accepted(header, { kind: "lease", lease: BigInt.asUintN(64, ID), ttlMs, remainingMs: ttlMs, keys: [] });
      }
      case "lease-revoke": {
        const answer = await client.unary(Lease.method.leaseRevoke, { ID: etcdLease(command.lease) }, call);
        return accepted(answer.header, { kind: "done" });
      }
      case "guarded":
        throw new UnumError("UNSUPPORTED", "An etcd has one keyspace: a claim guards the writes there, and no others.");
      case "lease-checkpoint":
      case "session-open":
      case "session-close":
      case "checkpoint":
      case "activate":
      case "configure":
        throw new UnumError("UNSUPPORTED", `An etcd has no "${command.kind}".`);
      default:
        return unreachable(command);
    }
  }

  private async read(query: Query, { revision, stale }: Reading, call: EngineCall): Promise<Reply> {
    const { client } = this;
    switch (query.kind) {
      case "range": {
        const answer = await client.unary(KV.method.range, rangeRequest(query, stale), call);
        // The member at hand is behind what the handle has seen: then the majority is asked.
        if (stale && revisionOf(answer.header) < revision) return await this.read(query, { stale: false, revision: 0 }, call);
        return accepted(answer.header, rangeResult(answer));
      }
      case "txn": {
        const answer = await client.unary(KV.method.txn, txnRequest(query, stale), call);
        if (stale && revisionOf(answer.header) < revision) return await this.read(query, { stale: false, revision: 0 }, call);
        return accepted(answer.header, txnResult(answer));
      }
      case "lease": {
        const request = { ID: etcdLease(query.lease), keys: query.keys };
        const { TTL, grantedTTL, header, keys } = await client.unary(Lease.method.leaseTimeToLive, request, call);
        if (TTL < 0n)
          return {
            ok: false,
            revision: revisionOf(header),
            code: "LEASE_NOT_FOUND",
            message: `lease ${query.lease} has ended or never was`,
            details: {},
          };
        const times = { ttlMs: numberOf(grantedTTL) * 1000, remainingMs: numberOf(TTL) * 1000 };
        return accepted(header, { kind: "lease", lease: query.lease, ...times, keys: keys.map((key) => String.fromCharCode(...key)) });
      }
      case "leases": {
        const { header, leases } = await client.unary(Lease.method.leaseLeases, {}, call);
        return accepted(header, { kind: "leases", leases: leases.map(({ ID }) => BigInt.asUintN(64, ID)) });
      }
      case "summary": {
        const everything = { key: new Uint8Array(1), rangeEnd: new Uint8Array(1), countOnly: true };
        const { count, header } = await client.unary(KV.method.range, everything, call);
        const unknown = { compactRevision: 0, bytes: 0, maxBytes: 0, leases: 0, sessions: 0, watchers: 0, featureLevel: 0 };
        const summary = { ...unknown, revision: revisionOf(header), keys: numberOf(count) };
        return accepted(header, { kind: "summary", summary });
      }
      case "hash":
        throw new UnumError("UNSUPPORTED", "The hash of an etcd says nothing about Unum's machines.");
      default:
        return unreachable(query);
    }
  }
}
