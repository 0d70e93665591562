import type { UnumHandle } from "#dist/api/index.js";
import { connect } from "#dist/index.js";
import type { Prng } from "#dist/base/index.js";
import { ChaosDisk } from "./disks.ts";
import type { DiskKind } from "./disks.ts";
import { keepEverything, losePower } from "./loss.ts";
import { Namespaces } from "./namespaces.ts";
import { ChaosNode } from "./node.ts";
import type { Target } from "./plan.ts";
import { Proxies } from "./proxies.ts";
import { freePort } from "../support/ports.ts";
import type { Wires, WiresKind } from "./wires.ts";

export interface ChaosClusterOptions extends DiskKind {
  readonly directory: string;
  readonly nodes: number;
  readonly wires: WiresKind;
  readonly prng: Prng;
  readonly violation: (text: string) => void;
}

export interface Member {
  readonly number: number;
  readonly node: ChaosNode;
  readonly disk: ChaosDisk;
  /** Something was done to it that has not been undone: nobody starts it meanwhile. */
  busy: boolean;
}

const superviseMs = 500;

/** Real nodes, their disks, and the wires between them. */
export class ChaosCluster {
  readonly members: Member[] = [];
  readonly wires: Wires;
  /** Sectors and names that power losses took. */
  lost = 0;
  private readonly options: ChaosClusterOptions;
  private readonly handles: UnumHandle[] = [];
  private losses = 0;
  /** Whoever heals the cluster starts its nodes. */
  healing = false;
  private closing = false;

  private constructor(options: ChaosClusterOptions, wires: Wires) {
    this.options = options;
    this.wires = wires;
  }

  static async open(options: ChaosClusterOptions): Promise<ChaosCluster> {
    const names = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}`);
    const wires = options.wires === "proxies" ? await Proxies.open(names, freePort) : Namespaces.open(options.nodes);
    const cluster = new ChaosCluster(options, wires);
    const seeds = names.map((_, number) => wires.address(number)).join(",");
    for (const [number, name] of names.entries()) {
      const disk = new ChaosDisk(options.directory, name, options);
      const node = new ChaosNode({
        name,
        enter: wires.enter(number),
        disk: disk.options,
        arguments: [
          ...["--data", disk.options.data, "--listen", wires.listen(number), "--advertise", wires.address(number)],
          ...["--seeds", seeds, "--expect", String(options.nodes)],
          ...(wires.kind === "namespaces" ? ["--insecure"] : []),
        ],
        onExit: (ended, how) => cluster.ended(ended, how),
      });
      cluster.members.push({ number, node, disk, busy: false });
    }
    return cluster;
  }

  get addresses(): string[] {
    return this.members.map(({ number }) => this.wires.address(number));
  }

  /** A node ended by itself. After an error of its disk it may, and where there is no room to begin; otherwise never, whatever happens around it. */
  private ended(node: ChaosNode, how: string): void {
    if (this.closing) return;
    const hadNoRoom = node.log.at(-1)?.includes("OUT_OF_SPACE: The disk has no room for a first segment") === true;
    if (node.injured || hadNoRoom) this.supervise(node);
    else this.options.violation(`${node.name} ended by itself (${how}):\n  ${node.log.slice(-15).join("\n  ")}`);
  }

  /** Starts it again as a supervisor would, unless somebody has it in hand. */
  private supervise(node: ChaosNode): void {
    setTimeout(() => {
      const member = this.members.find((candidate) => candidate.node === node);
      if (member?.busy === false && !this.closing && !this.healing) node.start();
    }, superviseMs).unref();
  }

  /** The node that leads the default keyspace, as far as somebody knows it now. */
  async resolve(target: Target): Promise<Member> {
    const numbered = (number: number): Member => this.members[number % this.members.length] as Member;
    if (target !== "leader") return numbered(target);
    const handle = await this.connect("nemesis");
    try {
      const status = await handle.status({ timeout: 500 });
      const leader = status.groups.find(({ name }) => name === "default")?.leader;
      const name = status.members.find(({ node }) => node === leader)?.name;
      return this.members.find(({ node }) => node.name === name) ?? numbered(0);
    } catch {
      // Nobody leads, or nobody answers: then one is as good as another.
      return numbered(0);
    } finally {
      await handle.close();
    }
  }

  /** A handle that knows these addresses; `pinned`: and no other. Closed with the cluster, if not before. */
  async connect(name: string, addresses: readonly string[] = this.addresses, pinned = false): Promise<UnumHandle> {
    const handle = await connect(
      addresses.map((address) => `unum://${address}`),
      { name, pinned },
    );
    this.handles.push(handle as UnumHandle);
    return handle as UnumHandle;
  }

  /** What the machine of a dead process does to its disk. */
  afterDeath({ disk, node }: Member, power: boolean): void {
    if (node.isRunning) throw new Error(`${node.name} still runs`);
    if (!power) return;
    const loss = losePower(disk.options, this.options.prng.fork(`loss ${this.losses++}`));
    this.lost += loss.names + loss.sectors;
  }

  async close(): Promise<void> {
    this.closing = true;
    for (const { disk, node } of this.members) {
      node.resume();
      await node.end("SIGKILL");
      keepEverything(disk.options);
      disk.close();
    }
    for (const handle of this.handles) await handle.close();
    await this.wires.close();
  }
}
