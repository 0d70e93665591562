import { assert } from "../base/index.ts";
import type { Describable, Prng } from "../base/index.ts";
import type { StreamPurpose } from "../ports/index.ts";
import type { SimHost } from "./host.ts";
import type { Scheduler } from "./scheduler.ts";
import { SimStreams } from "./streams.ts";

/** One direction between two hosts. Times in microseconds, chances in parts per million. */
export interface LinkOptions {
  readonly latencyUsMin: number;
  readonly latencyUsMax: number;
  /** How often a packet takes up to `spikeUs` longer. */
  readonly spikePpm: number;
  readonly spikeUs: number;
  /** Bytes per microsecond; 0: no limit. */
  readonly bytesPerUs: number;
  /** Faults of each write on connections between nodes; "client" connections have none of these. */
  readonly lossPpm: number;
  readonly duplicatePpm: number;
  readonly reorderPpm: number;
  /** A write that is reordered or repeated comes up to this much later. */
  readonly reorderUs: number;
}

export interface NetworkOptions extends Partial<LinkOptions> {
  /** After so long without getting through, a connection breaks with "timeout". Default 15 s. */
  readonly giveUpMs?: number;
  /** Bytes that the two kernels hold before `bufferedBytes` shows them. Default 256 KiB. */
  readonly windowBytes?: number;
}

export const linkDefaults: LinkOptions = {
  latencyUsMin: 150,
  latencyUsMax: 800,
  spikePpm: 5_000,
  spikeUs: 20_000,
  bytesPerUs: 0,
  lossPpm: 0,
  duplicatePpm: 0,
  reorderPpm: 0,
  reorderUs: 50_000,
};

const million = 1_000_000;
/** A first packet that got no answer is sent again after this. */
const retryUs = 1_000_000;
const resendUsMax = 200_000;

export interface Link {
  options: LinkOptions;
  /** What was sent while it was blocked, in order: TCP sends it again once it can. */
  readonly held: (() => void)[];
  blocked: boolean;
  /** Nothing arrives before this time. */
  cloggedUntilUs: number;
  /** When the wire is free again, at `bytesPerUs`. */
  busyUntilUs: number;
}

/**
 * The network between simulated hosts. A partition holds what is sent, as TCP does: it comes late when
 * the partition heals in time, and the connection breaks when it does not. On top, writes between
 * nodes may be lost, repeated and reordered like messages.
 */
export class SimNetwork implements Describable {
  readonly scheduler: Scheduler;
  readonly prng: Prng;
  readonly giveUpUs: number;
  readonly windowBytes: number;
  private defaults: LinkOptions;
  private readonly hosts = new Map<string, SimStreams>();
  private readonly links = new Map<string, Link>();

  /** Told of everything that a node writes to another, as it leaves. */
  tap: ((bytes: Uint8Array) => void) | undefined;

  constructor(scheduler: Scheduler, prng: Prng, options: NetworkOptions = {}) {
    const { giveUpMs, windowBytes, ...link } = options;
    this.scheduler = scheduler;
    this.prng = prng;
    this.giveUpUs = (giveUpMs ?? 15_000) * 1000;
    this.windowBytes = windowBytes ?? 256 * 1024;
    this.defaults = { ...linkDefaults, ...link };
  }

  /** The streams port of a host, which is reached under its name. */
  attach(host: SimHost): SimStreams {
    assert(!this.hosts.has(host.name), `${host.name} is attached once`);
    const streams = new SimStreams(this, host);
    this.hosts.set(host.name, streams);
    return streams;
  }

  /** Whom `name` means for `from`: loopback names mean itself. */
  resolve(name: string, from: SimStreams): SimStreams | undefined {
    if (name === "localhost" || name === "::1" || name === "0.0.0.0" || name === "::" || name.startsWith("127.")) return from;
    return this.hosts.get(name);
  }

  /** Changes all links, those in use too. */
  setLinks(options: Partial<LinkOptions>): void {
    this.defaults = { ...this.defaults, ...options };
    for (const link of this.links.values()) link.options = { ...link.options, ...options };
  }

  /** Changes the direction from one host to another. */
  setLink(from: string, to: string, options: Partial<LinkOptions>): void {
    const link = this.link(from, to);
    link.options = { ...link.options, ...options };
  }

  /** Nothing from any of `from` gets to any of `to`; the other way stays as it is. */
  block(from: readonly string[], to: readonly string[]): void {
    for (const a of from) for (const b of to) if (a !== b) this.setBlocked(a, b, true);
  }

  unblock(from: readonly string[], to: readonly string[]): void {
    for (const a of from) for (const b of to) if (a !== b) this.setBlocked(a, b, false);
  }

  /** Hosts of different parts do not reach each other; hosts in none of the parts reach all. Partial partitions: overlapping parts. */
  partition(...parts: readonly (readonly string[])[]): void {
    for (const a of parts) {
      for (const b of parts) {
        if (a !== b)
          this.block(
            a.filter((name) => !b.includes(name)),
            b.filter((name) => !a.includes(name)),
          );
      }
    }
  }

  /** Every direction is open again. */
  heal(): void {
    for (const key of [...this.links.keys()]) {
      const [from = "", to = ""] = key.split(">");
      this.setBlocked(from, to, false);
      this.link(from, to).cloggedUntilUs = 0;
    }
  }

  /** Everything sent from one host to another within the next `ms` arrives after it, in order. */
  clog(from: string, to: string, ms: number): void {
    this.link(from, to).cloggedUntilUs = this.scheduler.nowUs + Math.ceil(ms * 1000);
    this.note(`clog ${from} > ${to} for ${ms} ms`);
  }

  /** Breaks all connections between two hosts, on both sides. */
  reset(a: string, b: string): void {
    this.note(`reset ${a} = ${b}`);
    this.hosts.get(a)?.resetTo(b);
    this.hosts.get(b)?.resetTo(a);
  }

  link(from: string, to: string): Link {
    const key = `${from}>${to}`;
    let link = this.links.get(key);
    if (link === undefined) {
      link = { options: this.defaults, held: [], blocked: false, cloggedUntilUs: 0, busyUntilUs: 0 };
      this.links.set(key, link);
    }
    return link;
  }

  /** Whether writes for this purpose are treated as messages with faults of their own. */
  isLossy(purpose: StreamPurpose): boolean {
    return purpose !== "client";
  }

  chance(ppm: number): boolean {
    return ppm > 0 && this.prng.chance(ppm, million);
  }

  /** How long from now a packet of `bytes` takes. */
  delayUs(from: string, to: string, bytes: number): number {
    if (from === to) return this.prng.between(5, 30);
    const link = this.link(from, to);
    const { latencyUsMin, latencyUsMax, spikePpm, spikeUs, bytesPerUs } = link.options;
    const now = this.scheduler.nowUs;
    let delay = this.prng.between(latencyUsMin, Math.max(latencyUsMin, latencyUsMax));
    if (this.chance(spikePpm)) delay += this.prng.between(0, spikeUs);
    if (bytesPerUs > 0) {
      link.busyUntilUs = Math.max(now, link.busyUntilUs) + Math.ceil(bytes / bytesPerUs);
      delay += link.busyUntilUs - now;
    }
    return Math.max(delay, link.cloggedUntilUs - now);
  }

  /** Runs `send` now, or when the direction is open again, behind all that was held before it. */
  whenOpen(from: string, to: string, send: () => void): void {
    const link = this.link(from, to);
    if (from !== to && (link.blocked || link.held.length > 0)) link.held.push(send);
    else send();
  }

  /** The first packet of a connection: sent again each second until it gets through or `wanted()` says no. */
  knock(from: string, to: SimStreams, label: string, wanted: () => boolean, arrive: () => void): void {
    if (!wanted()) return;
    const blocked = this.link(from, to.host.name).blocked && from !== to.host.name;
    const delay = blocked ? 0 : this.delayUs(from, to.host.name, 40);
    this.scheduler.schedule(blocked ? retryUs : delay, label, () => {
      if (blocked || to.host.state === "off") this.knock(from, to, label, wanted, arrive);
      else if (wanted()) arrive();
    });
  }

  private setBlocked(from: string, to: string, blocked: boolean): void {
    const link = this.link(from, to);
    if (link.blocked === blocked) return;
    link.blocked = blocked;
    this.note(`${blocked ? "block" : "open"} ${from} > ${to}`);
    if (blocked || link.held.length === 0) return;
    this.scheduler.schedule(this.prng.between(0, resendUsMax), `resend ${from} > ${to}`, () => {
      if (!link.blocked) for (const send of link.held.splice(0)) send();
    });
  }

  private note(text: string): void {
    this.scheduler.trace.event(this.scheduler.nowUs, text);
  }

  describe(): string {
    const lines: string[] = [];
    for (const [key, link] of this.links) if (link.blocked) lines.push(`blocked ${key.replace(">", " > ")}, ${link.held.length} held`);
    for (const streams of this.hosts.values()) lines.push(streams.describe());
    return lines.join("\n");
  }
}
