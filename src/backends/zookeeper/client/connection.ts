import { MalformedBytes } from "../../../base/index.ts";
import type { HandleClock } from "../../../api/index.ts";
import type { Stream } from "../../../ports/index.ts";
import type { Call } from "./call.ts";
import { Op, Xid, codeTable } from "./codes.ts";
import { FrameSplitter, OversizeFrame } from "./frames.ts";
import { JuteReader, JuteWriter } from "./jute.ts";
import { decodeConnectResponse, encodeAuth, encodeConnectRequest, encodeFrame, readEvent, readReplyHeader } from "./messages.ts";
import type { ConnectRequest, ConnectResponse, Credentials, NodeEvent } from "./messages.ts";

/** By both clocks: while a machine sleeps, only one of them goes on. */
export interface Moment {
  readonly nowMs: number;
  readonly wallMs: number;
}

export interface ConnectionOwner {
  /** The handshake is done. The owner begins or destroys the connection. */
  onWelcome(response: ConnectResponse): void;
  onEvent(event: NodeEvent): void;
  /** All watches are set again. */
  onWatchesSet(): void;
  /** A zxid that the server has told. */
  onZxid(zxid: bigint): void;
  /** The server refused a request because the session is over. */
  onExpired(): void;
  onAuthFailed(): void;
  /** There is room for more to be sent. */
  onRoom(): void;
  /** The answer of this call is larger than is taken; the connection ends now. */
  onOversize(call: Call, bytes: number): void;
  /** The connection has ended by itself. Exactly once, and not after `destroy` or `close`. */
  onLost(reason: string): void;
}

interface Pending {
  readonly xid: number;
  readonly sent: Moment;
  /** Undefined: the last of the requests that set watches again has `last`. */
  readonly call: Call | undefined;
  readonly last: boolean;
}

/** What is queued at the stream before calls wait here, where they can still be taken back. */
const bufferedBytesMax = 1024 * 1024;
const xidMax = 0x7fff_ffff;
/** A timer that fires so late says that this process stood still: what has arrived meanwhile is read first. */
const lateMs = 100;

/**
 * One connection to one server. Answers come in the order of the requests, and each names the number of its own: one that does not is the
 * end of the connection, since no later one could be trusted. A third of the session's timeout without a request is filled by a ping; two
 * thirds without a sound from the server are the end.
 */
export class Connection {
  private readonly stream: Stream;
  private readonly clock: HandleClock;
  private readonly owner: ConnectionOwner;
  private readonly splitter: FrameSplitter;
  private state: "greeting" | "open" | "closed" = "greeting";
  private readonly pending: Pending[] = [];
  private readonly pings: Moment[] = [];
  private readonly greeted: Moment;
  private xid = 0;
  private sentMs: number;
  private heardMs: number;
  private pingMs = 0;
  private silenceMs: number;
  private timer: { cancel(): void } | undefined;
  private reading = false;
  /** When the latest request that has been answered was sent: from then on the server kept the session for its whole timeout. */
  answered: Moment | undefined;
  /** An answer to more than the handshake came. */
  proven = false;

  /** Sends the handshake. Without an answer to it the connection ends after `timeoutMs`. */
  constructor(
    stream: Stream,
    clock: HandleClock,
    owner: ConnectionOwner,
    request: ConnectRequest,
    timeoutMs: number,
    replyBytesMax: number,
  ) {
    this.stream = stream;
    this.clock = clock;
    this.owner = owner;
    this.splitter = new FrameSplitter(replyBytesMax, (body) => this.onFrame(body));
    this.greeted = this.moment();
    this.sentMs = this.greeted.nowMs;
    this.heardMs = this.sentMs;
    this.silenceMs = timeoutMs;
    stream.handle({
      onData: (bytes) => this.onData(bytes),
      onDrain: () => {
        if (this.state === "open") this.owner.onRoom();
      },
      onClose: (reason) => this.lose(reason?.message ?? "the server closed the connection"),
    });
    stream.write(new JuteWriter().buf(encodeConnectRequest(request)).take());
    this.arm();
  }

  get peer(): string {
    return this.stream.peer;
  }

  get pendingCount(): number {
    return this.pending.length;
  }

  get hasRoom(): boolean {
    return this.stream.bufferedBytes < bufferedBytesMax;
  }

  /** After the welcome: what each connection of the session is told anew comes ahead of all calls. `watches`: bodies of setWatches requests. */
  begin(
    timeoutMs: number,
    credentials: readonly Credentials[],
    watches: readonly { readonly op: number; readonly body: Uint8Array }[],
  ): void {
    this.state = "open";
    this.pingMs = timeoutMs / 3;
    this.silenceMs = (timeoutMs * 2) / 3;
    this.answered = this.greeted;
    for (const one of credentials) this.write(encodeFrame(Xid.auth, Op.auth, encodeAuth(one)));
    watches.forEach(({ body, op }, at) => {
      this.pending.push({ xid: Xid.setWatches, sent: this.moment(), call: undefined, last: at === watches.length - 1 });
      this.write(encodeFrame(Xid.setWatches, op, body));
    });
    this.arm();
  }

  /** In one write, in this order. */
  send(calls: readonly Call[]): void {
    const sent = this.moment();
    const frames = new JuteWriter(calls.reduce((sum, { question }) => sum + question.body.length + 12, 0));
    for (const call of calls) {
      call.sent = true;
      this.xid = this.xid === xidMax ? 1 : this.xid + 1;
      this.pending.push({ xid: this.xid, sent, call, last: false });
      frames.raw(encodeFrame(this.xid, call.question.op, call.question.body));
    }
    this.write(frames.take());
  }

  /** Ends in order, without a word to the owner. */
  close(): void {
    this.end();
    this.stream.close();
  }

  destroy(): void {
    this.end();
    this.stream.destroy();
  }

  private moment(): Moment {
    return { nowMs: this.clock.now(), wallMs: this.clock.wall() };
  }

  private write(bytes: Uint8Array): void {
    this.sentMs = this.clock.now();
    this.stream.write(bytes);
  }

  private end(): void {
    this.state = "closed";
    this.timer?.cancel();
  }

  /** Calls that were sent and not answered, in order. */
  unanswered(): readonly Call[] {
    return this.pending.flatMap(({ call }) => (call === undefined || call.settled ? [] : [call]));
  }

  private lose(reason: string): void {
    if (this.state === "closed") return;
    this.destroy();
    this.owner.onLost(reason);
  }

  private arm(): void {
    this.timer?.cancel();
    const silentAt = this.heardMs + this.silenceMs;
    const dueMs = this.state === "greeting" ? silentAt : Math.min(silentAt, this.sentMs + this.pingMs);
    this.timer = this.clock.after(Math.max(0, dueMs - this.clock.now()), () => this.onTimer(dueMs));
  }

  private onTimer(dueMs: number): void {
    const nowMs = this.clock.now();
    if (nowMs - dueMs > lateMs && !this.reading) {
      this.reading = true;
      this.timer = this.clock.after(1, () => this.onTimer(dueMs));
      return;
    }
    this.reading = false;
    if (nowMs - this.heardMs >= this.silenceMs) return this.lose(`the server was silent for ${Math.round(nowMs - this.heardMs)} ms`);
    if (this.state === "open" && nowMs - this.sentMs >= this.pingMs) this.ping();
    this.arm();
  }

  private ping(): void {
    this.pings.push(this.moment());
    this.write(encodeFrame(Xid.ping, Op.ping, new Uint8Array(0)));
  }

  private onData(bytes: Uint8Array): void {
    if (this.state === "closed") return;
    this.heardMs = this.clock.now();
    try {
      this.splitter.push(bytes);
    } catch (error) {
      if (error instanceof OversizeFrame) this.loseOversize(error);
      else if (error instanceof MalformedBytes) this.lose(`the server sent nonsense: ${error.message}`);
      else throw error;
    }
  }

  private loseOversize({ bytes, xid }: OversizeFrame): void {
    const next = this.pending[0];
    if (next?.xid === xid && next.call !== undefined) this.owner.onOversize(next.call, bytes);
    this.lose(`the server sent a frame of ${bytes} bytes`);
  }

  private onFrame(body: Uint8Array): void {
    if (this.state === "closed") return;
    if (this.state === "greeting") return this.owner.onWelcome(decodeConnectResponse(body));
    const reader = new JuteReader(body);
    const header = readReplyHeader(reader);
    switch (header.xid) {
      case Xid.event: {
        const event = readEvent(reader);
        if (event !== undefined) this.owner.onEvent(event);
        return;
      }
      case Xid.ping: {
        const sent = this.pings.shift();
        if (sent === undefined) throw new MalformedBytes("the answer to a ping that was not sent");
        return this.noteAnswer(sent, header.zxid);
      }
      case Xid.auth:
        if (header.error !== 0) this.owner.onAuthFailed();
        return;
      default:
        return this.onReply(header, reader);
    }
  }

  private onReply(header: ReturnType<typeof readReplyHeader>, reader: JuteReader): void {
    const next = this.pending[0];
    if (next === undefined) throw new MalformedBytes(`an answer to the request ${header.xid}, and none is waited for`);
    if (next.xid !== header.xid) throw new MalformedBytes(`an answer to the request ${header.xid}, and ${next.xid} is waited for`);
    const { call, last, sent } = next;
    this.noteAnswer(sent, header.zxid);
    if (call !== undefined && !call.settled) call.answer(header, reader);
    else if (call === undefined && header.error !== 0) throw new MalformedBytes(`watches were refused with ${header.error}`);
    this.pending.shift();
    if (last) this.owner.onWatchesSet();
    if (header.error === codeTable.SESSION_EXPIRED.number) this.owner.onExpired();
  }

  private noteAnswer(sent: Moment, zxid: bigint): void {
    this.proven = true;
    if (this.answered === undefined || sent.nowMs > this.answered.nowMs) this.answered = sent;
    if (zxid > 0n) this.owner.onZxid(zxid);
  }
}
