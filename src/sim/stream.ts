import { StreamError } from "../ports/index.ts";
import type { Stream, StreamHandlers, StreamPurpose } from "../ports/index.ts";
import type { SimHost } from "./host.ts";
import type { SimNetwork } from "./network.ts";

type Packet = { readonly kind: "data"; readonly bytes: Uint8Array } | { readonly kind: "fin" } | { readonly kind: "reset" };

const retryUs = 1_000_000;

/**
 * One end of a connection. Packets travel as events of the network; what they cause in the process
 * happens as events of the host, so that a stopped process finds them later and a dead one never.
 *
 * Invariants: `inbox` is what arrived and was not handed to `onData`; `flightBytes` what this end
 * wrote and the other has neither consumed nor lost. An end is in `ends` of its host while not
 * "closed"; "closing": this side has sent its end and waits for the other's.
 */
export class SimStream implements Stream {
  readonly peer: string;
  readonly remote: SimHost;
  private readonly network: SimNetwork;
  private readonly host: SimHost;
  private readonly lossy: boolean;
  private readonly ends: Set<SimStream>;
  private other: SimStream | undefined;
  private state: "open" | "closing" | "closed" = "open";
  private handlers: StreamHandlers | undefined;
  private inbox: Uint8Array[] = [];
  private paused = false;
  private delivering = false;
  private finReceived = false;
  private flightBytes = 0;
  private high = false;
  /** No later packet may arrive before this, unless it is reordered. */
  private orderedUs = 0;
  private latestUs = 0;
  private blockedSinceUs: number | undefined;
  private ending: { readonly reason: StreamError | undefined } | undefined;

  constructor(network: SimNetwork, host: SimHost, remote: SimHost, peer: string, purpose: StreamPurpose, ends: Set<SimStream>) {
    this.network = network;
    this.host = host;
    this.remote = remote;
    this.peer = peer;
    this.lossy = network.isLossy(purpose);
    this.ends = ends;
    ends.add(this);
  }

  connect(other: SimStream): void {
    this.other = other;
  }

  get bufferedBytes(): number {
    return this.state === "closed" ? 0 : Math.max(0, this.flightBytes - this.network.windowBytes);
  }

  handle(handlers: StreamHandlers): void {
    this.handlers = handlers;
    if (this.ending !== undefined) this.tellEnd();
    else this.wake();
  }

  write(bytes: Uint8Array): void {
    if (this.state !== "open" || bytes.length === 0) return;
    this.flightBytes += bytes.length;
    if (this.bufferedBytes > 0) this.high = true;
    if (this.lossy) this.network.tap?.(bytes);
    this.send({ kind: "data", bytes });
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.wake();
  }

  close(): void {
    if (this.state !== "open") return;
    this.state = "closing";
    this.send({ kind: "fin" });
    this.dropInbox();
    if (this.finReceived) this.end(undefined);
  }

  destroy(): void {
    if (this.state === "closed") return;
    this.send({ kind: "reset" });
    this.end(new StreamError("closed", "destroyed on this side"));
  }

  /** The connection broke: this end is told, the other side hears nothing of it from here. */
  breakOff(reason: StreamError): void {
    if (this.state !== "closed") this.end(reason);
  }

  /** The process is gone. A kernel that lives on ends its connections, in either way; after a power loss nobody does. */
  die(kernelLives: boolean): void {
    this.state = "closed";
    this.ends.delete(this);
    this.handlers = undefined;
    this.inbox = [];
    if (kernelLives) this.send({ kind: this.network.prng.chance(1, 2) ? "fin" : "reset" });
  }

  private send(packet: Packet): void {
    const link = this.network.link(this.host.name, this.remote.name);
    if (link.blocked && this.host !== this.remote) this.startGivingUp();
    this.network.whenOpen(this.host.name, this.remote.name, () => this.transmit(packet));
  }

  private transmit(packet: Packet): void {
    const { network } = this;
    const options = network.link(this.host.name, this.remote.name).options;
    const faulty = this.lossy && packet.kind === "data" && this.host !== this.remote;
    if (faulty && network.chance(options.lossPpm)) return this.consumed(packet.bytes.length);
    if (faulty && network.chance(options.duplicatePpm)) {
      this.flightBytes += packet.bytes.length;
      this.depart(packet, network.prng.between(0, options.reorderUs), false);
    }
    if (faulty && network.chance(options.reorderPpm)) this.depart(packet, network.prng.between(0, options.reorderUs), false);
    else this.depart(packet, 0, true);
  }

  private depart(packet: Packet, extraUs: number, ordered: boolean): void {
    const { network } = this;
    const now = network.scheduler.nowUs;
    const bytes = packet.kind === "data" ? packet.bytes.length : 40;
    let arriveUs = now + network.delayUs(this.host.name, this.remote.name, bytes) + extraUs;
    if (packet.kind === "fin") arriveUs = Math.max(arriveUs, this.latestUs);
    if (ordered) {
      arriveUs = Math.max(arriveUs, this.orderedUs);
      this.orderedUs = arriveUs;
    }
    this.latestUs = Math.max(this.latestUs, arriveUs);
    const label = `${this.host.name} > ${this.remote.name} ${packet.kind} ${bytes}`;
    network.scheduler.schedule(arriveUs - now, label, () => this.arrive(packet, now));
  }

  /** A packet of this end has reached the other's machine. */
  private arrive(packet: Packet, sentUs: number): void {
    const { scheduler, giveUpUs } = this.network;
    const other = this.other;
    if (other === undefined) return;
    if (this.remote.state !== "off") return other.receive(packet);
    if (packet.kind === "reset" || this.state === "closed") return;
    if (scheduler.nowUs - sentUs < giveUpUs) {
      scheduler.schedule(retryUs, `${this.host.name} > ${this.remote.name} again`, () => this.arrive(packet, sentUs));
    } else this.breakOff(new StreamError("timeout", `${this.peer} does not answer`));
  }

  private receive(packet: Packet): void {
    if (this.state === "closed") {
      if (packet.kind === "data") this.send({ kind: "reset" });
      return;
    }
    switch (packet.kind) {
      case "data":
        if (this.state === "closing") return this.other?.consumed(packet.bytes.length);
        this.inbox.push(packet.bytes);
        return this.wake();
      case "fin":
        this.finReceived = true;
        if (this.state === "closing") return this.end(undefined);
        return this.wake();
      case "reset":
        this.breakOff(new StreamError("reset", `connection reset by ${this.peer}`));
    }
  }

  private wake(): void {
    if (this.delivering || this.paused || this.handlers === undefined || this.state !== "open") return;
    if (this.inbox.length === 0 && !this.finReceived) return;
    this.delivering = true;
    this.host.schedule(0, `receives from ${this.remote.name}`, this.deliver);
  }

  private readonly deliver = (): void => {
    this.delivering = false;
    while (this.inbox.length > 0 && !this.paused && this.state === "open") {
      const bytes = this.lossy ? (this.inbox.shift() as Uint8Array) : this.cut();
      this.other?.consumed(bytes.length);
      this.handlers?.onData(bytes);
    }
    if (this.state !== "open" || this.inbox.length > 0 || !this.finReceived || this.paused) return;
    this.close();
  };

  /** A stream of bytes has no borders: sometimes a piece of what was written, sometimes two writes as one. */
  private cut(): Uint8Array {
    const { prng } = this.network;
    const first = this.inbox.shift() as Uint8Array;
    if (first.length > 1 && prng.chance(1, 6)) {
      const at = prng.between(1, first.length - 1);
      this.inbox.unshift(first.subarray(at));
      return first.subarray(0, at);
    }
    const second = this.inbox[0];
    if (second === undefined || !prng.chance(1, 4)) return first;
    this.inbox.shift();
    const both = new Uint8Array(first.length + second.length);
    both.set(first);
    both.set(second, first.length);
    return both;
  }

  /** The other side has taken bytes of this end, or the network has lost them. */
  private consumed(bytes: number): void {
    this.flightBytes -= bytes;
    if (!this.high || this.bufferedBytes > 0 || this.state !== "open") return;
    this.high = false;
    this.host.schedule(0, `drained to ${this.remote.name}`, () => {
      if (this.state === "open" && this.bufferedBytes === 0) this.handlers?.onDrain();
    });
  }

  private dropInbox(): void {
    for (const bytes of this.inbox.splice(0)) this.other?.consumed(bytes.length);
  }

  private startGivingUp(): void {
    if (this.blockedSinceUs !== undefined || this.state === "closed") return;
    const since = this.network.scheduler.nowUs;
    this.blockedSinceUs = since;
    this.network.scheduler.schedule(this.network.giveUpUs, `${this.host.name} gives ${this.remote.name} up`, () => {
      this.blockedSinceUs = undefined;
      if (this.network.link(this.host.name, this.remote.name).blocked)
        this.breakOff(new StreamError("timeout", `${this.peer} does not answer`));
    });
  }

  private end(reason: StreamError | undefined): void {
    this.state = "closed";
    this.ends.delete(this);
    this.inbox = [];
    this.ending = { reason };
    this.tellEnd();
  }

  private tellEnd(): void {
    const ending = this.ending;
    if (this.handlers === undefined || ending === undefined) return;
    this.host.schedule(0, `connection to ${this.remote.name} ends`, () => {
      const handlers = this.handlers;
      this.handlers = undefined;
      handlers?.onClose(ending.reason);
    });
  }
}
