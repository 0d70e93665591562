import { MalformedBytes, Reader, UnumError, Writer, defaultGroup, limits } from "../base/index.ts";
import type { ClusterId } from "../base/index.ts";
import type { HandleClock } from "../api/index.ts";
import {
  decodeCommand,
  decodeEnvelope,
  decodeQuery,
  decodeWatchRequest,
  encodeWatchChange,
  replyBytes,
} from "../machine/commands/index.ts";
import type { Reply, WatchChange } from "../machine/commands/index.ts";
import {
  FrameType,
  Method,
  decodeCancel,
  decodeCredit,
  decodeHello,
  decodeRequest,
  encodeEnd,
  encodeErrorResponse,
  encodeItem,
  encodeOkResponse,
  encodeRefused,
  encodeWelcome,
  negotiate,
  protocolVersion,
  toWireError,
} from "../wire/index.ts";
import type { Carrier, Hello, Request } from "../wire/index.ts";
import type { Engine, EngineCall, EngineWatch, WatchSink } from "./engine.ts";

/** Beside a cluster's own ids, which are random. */
const engineCluster = "00000000000000e0" as ClusterId;

/**
 * The far end of a handle's carrier: a node, as far as the handle can see, behind which there is an engine. One keyspace, no members,
 * nothing to administer: what is asked of those is UNSUPPORTED.
 *
 * The carrier is a direct one and never breaks, so a command comes a second time only after a refusal that promised to have had no effect:
 * no replies need to be kept. A session is a number that nobody else knows.
 */
export class EngineNode {
  private readonly engine: Engine;
  private readonly clock: HandleClock;
  private readonly carrier: Carrier;
  private readonly calls = new Map<number, OpenCall>();
  private readonly streams = new Map<number, Stream>();
  private sessions = 0n;

  constructor(engine: Engine, clock: HandleClock, carrier: Carrier) {
    this.engine = engine;
    this.clock = clock;
    this.carrier = carrier;
    carrier.handle({
      onFrame: (frame, own) => this.onFrame(own ? frame : frame.slice()),
      onDrain: () => undefined,
      onClose: () => this.onClose(),
    });
  }

  private onFrame(frame: Uint8Array): void {
    switch (frame[0]) {
      case FrameType.hello:
        return this.greet(decodeHello(frame));
      case FrameType.request:
        return this.serve(decodeRequest(frame));
      case FrameType.credit: {
        const { bytes, id } = decodeCredit(frame);
        return this.streams.get(id)?.credit(bytes);
      }
      case FrameType.cancel:
        return this.cancel(decodeCancel(frame).id);
      case FrameType.goodbye:
        return;
      default:
        throw new MalformedBytes(`a handle does not send frames of type ${frame[0]}`);
    }
  }

  private onClose(): void {
    for (const id of [...this.calls.keys(), ...this.streams.keys()]) this.cancel(id);
  }

  private cancel(id: number): void {
    const call = this.calls.get(id);
    this.calls.delete(id);
    call?.cancel();
    const stream = this.streams.get(id);
    this.streams.delete(id);
    stream?.cancel();
  }

  private greet(hello: Hello): void {
    const ours: Hello = {
      versionMin: protocolVersion,
      versionMax: protocolVersion,
      purpose: "client",
      cluster: engineCluster,
      node: undefined,
      name: this.engine.name,
      address: "",
      featureLevel: hello.featureLevel,
    };
    const negotiation = negotiate(ours, hello);
    if (negotiation.ok) return this.carrier.send(encodeWelcome(ours));
    this.carrier.send(encodeRefused(negotiation.error));
    this.carrier.close();
  }

  private serve(request: Request): void {
    if (request.method === Method.watch) return this.watch(request);
    const call = new OpenCall(this.clock.now() + request.remainingMs);
    this.calls.set(request.id, call);
    this.answer(request, call).then(
      (body) => {
        if (this.calls.delete(request.id)) this.carrier.send(encodeOkResponse(request.id, body));
      },
      (error: unknown) => {
        if (this.calls.delete(request.id)) this.carrier.send(encodeErrorResponse(request.id, toWireError(error)));
      },
    );
  }

  private async answer(request: Request, call: OpenCall): Promise<Uint8Array> {
    if (request.group !== defaultGroup && request.method !== Method.keyspace && request.method !== Method.admin)
      throw new UnumError("NOT_FOUND", `${this.engine.name} has one keyspace.`);
    const reader = new Reader(request.body);
    switch (request.method) {
      case Method.propose:
        return await this.propose(reader, call);
      case Method.query: {
        const revision = reader.u64();
        return replyBytes(await this.engine.query(decodeQuery(reader), { stale: request.stale, revision }, call));
      }
      case Method.keepAlive:
        return new Writer(8).u64(await this.engine.keepAlive(reader.big64(), call)).take();
      case Method.keyspace:
        throw new UnumError("UNSUPPORTED", `${this.engine.name} has one keyspace, the default one: use kv.prefix(…) to divide it.`);
      default:
        throw new UnumError("UNSUPPORTED", `${this.engine.name} does not offer this: it is no cluster of Unum's.`);
    }
  }

  private async propose(reader: Reader, call: OpenCall): Promise<Uint8Array> {
    decodeEnvelope(reader);
    const command = decodeCommand(reader);
    switch (command.kind) {
      case "session-open":
        return replyBytes({ ok: true, revision: 0, result: { kind: "session", session: ++this.sessions } });
      case "session-close":
        return replyBytes({ ok: true, revision: 0, result: { kind: "done" } });
      default:
        return replyBytes(await this.engine.command(command, call));
    }
  }

  private watch(request: Request): void {
    const { id } = request;
    const stream = new Stream(
      (bytes) => this.carrier.send(encodeItem(id, bytes)),
      (answer) => {
        if (this.streams.delete(id)) this.carrier.send(encodeEnd(id, answer));
      },
    );
    this.streams.set(id, stream);
    if (request.group !== defaultGroup) return stream.refuse(new UnumError("NOT_FOUND", `${this.engine.name} has one keyspace.`));
    stream.begin(this.engine.watch(decodeWatchRequest(new Reader(request.body)), stream));
  }
}

class OpenCall implements EngineCall {
  readonly deadlineMs: number;
  cancelled = false;
  private readonly callbacks: (() => void)[] = [];

  constructor(deadlineMs: number) {
    this.deadlineMs = deadlineMs;
  }

  onCancel(callback: () => void): void {
    if (this.cancelled) callback();
    else this.callbacks.push(callback);
  }

  cancel(): void {
    this.cancelled = true;
    for (const callback of this.callbacks.splice(0)) callback();
  }
}

/** One watch: told as far as the handle has room for it. The engine is stopped where the credit ends, and by what had come then it may be passed. */
class Stream implements WatchSink {
  private readonly send: (bytes: Uint8Array) => void;
  private readonly end: (answer: Parameters<typeof encodeEnd>[1]) => void;
  private creditBytes = limits.streamCreditBytes;
  private watch: EngineWatch | undefined;
  private paused = false;
  private over = false;

  constructor(send: (bytes: Uint8Array) => void, end: (answer: Parameters<typeof encodeEnd>[1]) => void) {
    this.send = send;
    this.end = end;
  }

  begin(watch: EngineWatch): void {
    if (this.over) watch.cancel();
    else this.watch = watch;
  }

  changed(change: WatchChange): void {
    if (this.over) return;
    const writer = new Writer(64);
    encodeWatchChange(writer, change);
    const bytes = writer.take();
    this.creditBytes -= bytes.length;
    this.send(bytes);
    if (this.creditBytes > 0 || this.paused) return;
    this.paused = true;
    this.watch?.pause();
  }

  ended(refusal: Extract<Reply, { readonly ok: false }> | undefined): void {
    if (this.over) return;
    this.over = true;
    this.end({ ok: true, body: refusal === undefined ? new Uint8Array(0) : replyBytes(refusal) });
  }

  refuse(error: UnumError): void {
    if (this.over) return;
    this.over = true;
    this.end({ ok: false, error: toWireError(error) });
  }

  credit(bytes: number): void {
    if (this.over) return;
    if (bytes === 0) return this.watch?.askProgress();
    this.creditBytes += bytes;
    if (this.creditBytes <= 0 || !this.paused) return;
    this.paused = false;
    this.watch?.resume();
  }

  cancel(): void {
    if (this.over) return;
    this.over = true;
    this.watch?.cancel();
  }
}
