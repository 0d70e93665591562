import { spawnSync } from "node:child_process";
import type { Wires } from "./wires.ts";

const port = 7400;

/** Why there can be no namespaces here; undefined: there can. */
export function whyNoNamespaces(): string | undefined {
  if (process.platform !== "linux") return "network namespaces are Linux's";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  const name = `unum-try-${process.pid}`;
  const made = ip("netns", "add", name);
  if (made.ok) ip("netns", "del", name);
  return made.ok ? undefined : `no network namespace can be made: ${made.error}`;
}

function ip(...words: readonly string[]): { readonly ok: boolean; readonly error: string } {
  const { error, status, stderr } = spawnSync("ip", words, { encoding: "utf8" });
  return { ok: status === 0, error: error?.message ?? stderr.trim() };
}

function must(...words: readonly string[]): void {
  const { error, ok } = ip(...words);
  if (!ok) throw new Error(`ip ${words.join(" ")}: ${error}`);
}

/**
 * Each node in a network namespace of its own with its own kernel's TCP in between, on one bridge. A direction is cut by telling
 * the sender a hardware address that nobody has: its packets leave and arrive nowhere, and its TCP goes on trying, as with a broken cable.
 */
export class Namespaces implements Wires {
  readonly kind = "namespaces";
  readonly canDelay: boolean;
  private readonly prefix: string;
  private readonly network: string;
  private readonly count: number;

  private constructor(count: number) {
    this.count = count;
    // Interface names have 15 letters, and several runs may share a machine.
    this.prefix = `u${(process.pid % 0xffff).toString(36)}`;
    this.network = `10.${64 + (process.pid % 128)}.${(process.pid >> 7) % 256}`;
    this.canDelay = false;
  }

  static open(count: number): Namespaces {
    const wires = new Namespaces(count);
    try {
      wires.build();
    } catch (error) {
      wires.remove();
      throw error;
    }
    return wires;
  }

  private build(): void {
    const bridge = `${this.prefix}br`;
    must("link", "add", bridge, "type", "bridge");
    must("addr", "add", `${this.network}.254/24`, "dev", bridge);
    must("link", "set", bridge, "up");
    for (let node = 0; node < this.count; node++) {
      const outer = `${this.prefix}v${node}`;
      must("netns", "add", this.name(node));
      must("link", "add", outer, "type", "veth", "peer", "name", "eth0", "address", hardware(node), "netns", this.name(node));
      must("link", "set", outer, "master", bridge, "up");
      this.inside(node, "addr", "add", `${this.host(node)}/24`, "dev", "eth0");
      this.inside(node, "link", "set", "eth0", "up");
      this.inside(node, "link", "set", "lo", "up");
    }
    for (let from = 0; from < this.count; from++) for (let to = 0; to < this.count; to++) if (from !== to) this.unblock(from, to);
  }

  private name(node: number): string {
    return `${this.prefix}n${node}`;
  }

  private host(node: number): string {
    return `${this.network}.${node + 1}`;
  }

  private inside(node: number, ...words: readonly string[]): void {
    must("-n", this.name(node), ...words);
  }

  listen(node: number): string {
    return `${this.host(node)}:${port}`;
  }

  address(node: number): string {
    return this.listen(node);
  }

  enter(node: number): readonly string[] {
    return ["ip", "netns", "exec", this.name(node)];
  }

  block(from: number, to: number): void {
    this.inside(from, "neigh", "replace", this.host(to), "lladdr", "02:00:00:00:ff:ff", "dev", "eth0", "nud", "permanent");
  }

  unblock(from: number, to: number): void {
    this.inside(from, "neigh", "replace", this.host(to), "lladdr", hardware(to), "dev", "eth0", "nud", "permanent");
  }

  delay(): void {
    throw new Error("no delays between namespaces");
  }

  /** The sender's kernel forgets the connections: `ss -K` in its place would need an option of the kernel that few have. */
  reset(): void {
    throw new Error("no resets between namespaces");
  }

  close(): Promise<void> {
    this.remove();
    return Promise.resolve();
  }

  private remove(): void {
    for (let node = 0; node < this.count; node++) {
      ip("link", "del", `${this.prefix}v${node}`);
      ip("netns", "del", this.name(node));
    }
    ip("link", "del", `${this.prefix}br`);
  }
}

function hardware(node: number): string {
  return `02:00:00:00:00:${(node + 1).toString(16).padStart(2, "0")}`;
}
