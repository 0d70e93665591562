import { UnumError } from "../../base/index.ts";
import { Lease } from "../../etcd/index.ts";
import type { LeaseKeepAliveRequestSchema, LeaseKeepAliveResponse } from "../../etcd/index.ts";
import type { EngineCall } from "../engine.ts";
import type { EtcdClient, EtcdStream } from "./client.ts";
import { numberOf } from "./replies.ts";
import { etcdLease } from "./requests.ts";

interface Waiter {
  resolve(remainingMs: number): void;
  reject(error: UnumError): void;
}

/**
 * Every lease's renewals over one stream, as etcd's own clients do. Answers come by lease, in order. When the stream ends, who waits is
 * told so and asks again: to renew twice does no harm.
 */
export class KeepAlives {
  private readonly client: EtcdClient;
  private readonly waiting = new Map<bigint, Waiter[]>();
  private stream: EtcdStream<typeof LeaseKeepAliveRequestSchema> | undefined;

  constructor(client: EtcdClient) {
    this.client = client;
  }

  keepAlive(lease: bigint, call: EngineCall): Promise<number> {
    return new Promise((resolve, reject) => {
      const id = etcdLease(lease);
      const waiter = { resolve, reject };
      const waiters = this.waiting.get(id);
      if (waiters === undefined) this.waiting.set(id, [waiter]);
      else waiters.push(waiter);
      this.stream ??= this.open();
      this.stream.send({ ID: id });
      call.onCancel(() => this.silent());
    });
  }

  close(): void {
    this.lose("the handle closes");
  }

  private open(): EtcdStream<typeof LeaseKeepAliveRequestSchema> {
    return this.client.stream(Lease.method.leaseKeepAlive, {
      onMessage: (answer) => this.answered(answer),
      onEnd: (failure) => {
        this.stream = undefined;
        this.lose(failure.message);
      },
    });
  }

  private answered({ ID, TTL }: LeaseKeepAliveResponse): void {
    const waiters = this.waiting.get(ID);
    const waiter = waiters?.shift();
    if (waiters?.length === 0) this.waiting.delete(ID);
    if (TTL > 0n) waiter?.resolve(numberOf(TTL) * 1000);
    else waiter?.reject(new UnumError("LEASE_NOT_FOUND"));
  }

  /** Somebody gave up waiting: the stream's member may stand still, and the next renewal must not wait for it as well. */
  private silent(): void {
    this.lose("no answer in time");
  }

  private lose(reason: string): void {
    this.stream?.cancel();
    this.stream = undefined;
    const waiters = [...this.waiting.values()].flat();
    this.waiting.clear();
    for (const waiter of waiters)
      waiter.reject(new UnumError("UNAVAILABLE", `The lease was not renewed: ${reason}.`, { outcome: "not-applied" }));
  }
}
