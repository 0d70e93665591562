import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { RawHandle, UnumHandle } from "../../api/index.ts";
import { UnumError, utf8Decode, utf8Encode } from "../../base/index.ts";
import { Compare_CompareResult, Compare_CompareTarget, KV } from "../../etcd/index.ts";
import type { KeyValue, RangeRequest, RequestOp } from "../../etcd/index.ts";
import { openEtcdGateway } from "../../gateway/etcd/index.ts";
import { silentLogger } from "../../ports/index.ts";
import type { Operation, Read, Result, Seen } from "../history.ts";
import { Client, endOf } from "./client.ts";
import { EtcdStatus, LocalHttp } from "./etcd-wire.ts";
import type { EtcdStream, Method } from "./etcd-wire.ts";
import { pad, unpad } from "./values.ts";

/** Statuses after which nobody knows whether the call had an effect: cancelled, unknown, deadline exceeded, unavailable. */
const unknown: ReadonlySet<number> = new Set([1, 2, 4, 14]);
/** Not found, resource exhausted, failed precondition, out of range: refused, and nothing was done. */
const refused: ReadonlySet<number> = new Set([5, 8, 9, 11]);

const fastMs = 2;

function isRaw(handle: UnumHandle): handle is RawHandle {
  return "raw" in handle;
}

/** A client of etcd's protocol: the same operations as `Client` has, through a gateway of its machine's own. */
export class EtcdClient extends Client {
  private readonly http = new LocalHttp();

  constructor(client: Client) {
    super(client.host, client.handle, client.space, client.manners, (text) => client.report(text));
    const { clock, prng } = client.host;
    const random = prng.fork("gateway");
    const digests = {
      sha256: () => {
        throw new Error("nobody asks this gateway for a hash");
      },
      stretch: () => {
        throw new Error("nobody has a password here");
      },
    };
    if (!isRaw(client.handle)) throw new Error("a gateway stands on a handle that speaks the machine's words");
    const ports = { http: this.http, clock, random, digests, logger: silentLogger };
    openEtcdGateway(ports, client.handle, { listen: { host: client.name, port: 2379 } }).catch((error: unknown) =>
      this.report(`the gateway does not open: ${String(error)}`),
    );
  }

  /** `slowMs`: how long a piece of an answer may take. */
  open<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    fields: Readonly<Record<string, string>> = {},
    slowMs = fastMs,
  ): EtcdStream<I, O> {
    const prng = this.host.prng.fork(`answers ${this.fresh()}`);
    const weight = slowMs > fastMs ? 4_000 : 1;
    return this.http.open(method, fields, { peer: this.name, sleep: () => this.host.sleep(prng.below(slowMs + 1)), weight });
  }

  async call<I extends DescMessage, O extends DescMessage>(
    method: Method<I, O>,
    init: MessageInitShape<I>,
    timeoutMs = this.manners.timeoutMs,
  ): Promise<MessageShape<O>> {
    const stream = this.open(method, { "grpc-timeout": `${timeoutMs}m` });
    stream.send(init);
    stream.finish();
    const answer = await stream.next();
    if (answer === undefined) throw new EtcdStatus(13, "no answer");
    return answer;
  }

  protected override async perform(operation: Operation): Promise<Result> {
    try {
      return await this.ask(operation);
    } catch (error) {
      if (!(error instanceof EtcdStatus)) throw error;
      if (!unknown.has(error.code) && !refused.has(error.code)) this.report(`${operation.kind} ended with ${error.code}: ${error.message}`);
      const outcome = refused.has(error.code) ? "not-applied" : "unknown";
      throw new UnumError("UNKNOWN_OUTCOME", `${error.code}: ${error.message}`, { outcome, cause: error });
    }
  }

  private async ask(operation: Operation): Promise<Result> {
    switch (operation.kind) {
      case "get": {
        const { kvs } = await this.call(KV.method.range, { key: utf8Encode(operation.key), serializable: operation.stale });
        return { kind: "entry", entry: kvs[0] && seenOf(kvs[0]) };
      }
      case "range":
        return this.page({ ...rangeOf(operation.prefix, operation.prefix), serializable: operation.stale }, 0);
      case "list": {
        const { from, limit, prefix, revision } = operation;
        return this.page({ ...rangeOf(from, prefix), limit: BigInt(limit), revision: BigInt(revision) }, revision);
      }
      case "put": {
        const value = utf8Encode(pad(operation.value));
        const lease = BigInt.asIntN(64, BigInt(operation.lease ?? 0));
        const { header } = await this.call(KV.method.put, { key: utf8Encode(operation.key), value, lease });
        return { kind: "written", revision: Number(header?.revision), existed: true };
      }
      case "txn":
        return this.transaction(operation);
      default:
        throw new Error(`an etcd client does no ${operation.kind}`);
    }
  }

  private async page(request: Partial<RangeRequest>, revision: number): Promise<Result> {
    const { count, header, kvs, more } = await this.call(KV.method.range, request as MessageInitShape<typeof KV.method.range.input>);
    const at = revision > 0 ? revision : Number(header?.revision);
    return { kind: "page", revision: at, entries: kvs.map(seenOf), more, count: Number(count) };
  }

  private async transaction({ compare, elseReads, reads, writes }: Extract<Operation, { kind: "txn" }>): Promise<Result> {
    const get = (key: string) => ({ request: { case: "requestRange", value: { key: utf8Encode(key) } } }) as const;
    const answer = await this.call(KV.method.txn, {
      compare: compare.map(({ key, revision }) => ({
        key: utf8Encode(key),
        target: Compare_CompareTarget.MOD,
        result: Compare_CompareResult.EQUAL,
        targetUnion: { case: "modRevision" as const, value: BigInt(revision) },
      })),
      success: [...writes.map(({ key, value }) => writeOf(key, value)), ...reads.map(get)],
      failure: elseReads.map(get),
    });
    const revision = Number(answer.header?.revision);
    const take = (names: readonly string[], from: number): Read[] =>
      names.map((key, at) => {
        const response = answer.responses[from + at]?.response;
        const kv = response?.case === "responseRange" ? response.value.kvs[0] : undefined;
        return { key, entry: kv && seenOf(kv) };
      });
    if (!answer.succeeded) return { kind: "conflict", revision, reads: take(elseReads, 0) };
    if (writes.length === 0) return { kind: "reads", revision, reads: take(reads, 0) };
    return { kind: "written", revision, existed: true, reads: take(reads, writes.length) };
  }
}

type OperationInit = { readonly request: RequestOp["request"] };

function writeOf(key: string, value: string | undefined): OperationInit {
  const request =
    value === undefined
      ? { case: "requestDeleteRange", value: { key: utf8Encode(key) } }
      : { case: "requestPut", value: { key: utf8Encode(key), value: utf8Encode(pad(value)) } };
  return { request: request as RequestOp["request"] };
}

function rangeOf(from: string, prefix: string): { readonly key: Uint8Array; readonly rangeEnd: Uint8Array } {
  return { key: utf8Encode(from), rangeEnd: utf8Encode(endOf(prefix)) };
}

export function seenOf({ createRevision, key, modRevision, value, version }: KeyValue): Seen {
  return {
    key: utf8Decode(key),
    value: unpad(utf8Decode(value)),
    revision: Number(modRevision),
    createRevision: Number(createRevision),
    version: Number(version),
  };
}
