import { describe, expect, it } from "vitest";
import { NodeClock } from "../../../platform/node/index.ts";
import type { HttpExchange, HttpFields, HttpHandlers } from "../../../ports/index.ts";
import { toEtcdError } from "../errors.ts";
import { Watch, etcdErrors } from "../../../etcd/index.ts";
import { defineService } from "./method.ts";
import { Partials } from "./partial.ts";
import { GrpcServer } from "./server.ts";

const host = {
  clock: new NodeClock({ ref: false }),
  messageBytesMax: 1000,
  callsMax: 2,
  partials: new Partials(1000),
  toStatus: toEtcdError,
};

/** An exchange that remembers what it was answered. */
class Recorder implements HttpExchange {
  readonly version = "2" as const;
  readonly method = "POST";
  readonly path = "/etcdserverpb.Watch/Watch";
  readonly fields: HttpFields = { "content-type": "application/grpc" };
  readonly peer = "somebody";
  readonly subject = undefined;
  readonly bufferedBytes = 0;
  handlers: HttpHandlers | undefined;
  status: string | undefined;

  handle(handlers: HttpHandlers): void {
    this.handlers = handlers;
  }
  reply(_status: number, fields: HttpFields, _body: Uint8Array | undefined, trailers?: HttpFields): void {
    this.status = (trailers ?? fields)["grpc-status"];
  }
  end(trailers?: HttpFields): void {
    this.status = trailers?.["grpc-status"];
  }
  pause(): void {
    throw new Error("not here");
  }
  resume(): void {
    throw new Error("not here");
  }
  begin(): void {
    throw new Error("not here");
  }
  write(): void {
    throw new Error("not here");
  }
  writeLent(): void {
    throw new Error("not here");
  }
  abort(): void {
    throw new Error("not here");
  }
}

const quiet = { message: () => undefined, ended: () => undefined, closed: () => undefined };

describe("calls", () => {
  it("that a stream's method refuses at once end with its status: nothing goes up to whoever reads the connection", () => {
    const methods = defineService(Watch, {
      watch: () => {
        throw etcdErrors.noLeader();
      },
    });
    const server = new GrpcServer(methods, host);
    const exchange = new Recorder();
    expect(server.accept(exchange)).toBe(true);
    expect([exchange.status, server.openCalls]).toEqual(["14", 0]);
    exchange.handlers?.onData(new Uint8Array(5));
    exchange.handlers?.onEnd();
    exchange.handlers?.onClose(true);
  });

  it("are no more at a time than the server takes", () => {
    const server = new GrpcServer(defineService(Watch, { watch: () => quiet }), host);
    const exchanges = [new Recorder(), new Recorder(), new Recorder()];
    for (const exchange of exchanges) server.accept(exchange);
    expect([exchanges.map(({ status }) => status), server.openCalls]).toEqual([[undefined, undefined, "8"], 2]);
    exchanges[0]?.handlers?.onClose(false);
    const next = new Recorder();
    server.accept(next);
    expect([next.status, server.openCalls]).toEqual([undefined, 2]);
  });
});
