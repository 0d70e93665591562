import type { ChaosCluster, Member } from "./cluster.ts";
import type { ChaosFault, ChaosFaultKind, Target } from "./plan.ts";

/** Does to the cluster what the plan says, and takes it back when its time is over. */
export class Injector {
  /** By kind, what was really done. */
  readonly hits = new Map<string, number>();
  /** What could not be done here, and why. */
  readonly leftOut = new Map<string, string>();
  private readonly cluster: ChaosCluster;
  private readonly say: (line: string) => void;
  private readonly running = new Set<Promise<void>>();
  private readonly releases = new Set<() => void>();
  private stopped = false;

  constructor(cluster: ChaosCluster, say: (line: string) => void) {
    this.cluster = cluster;
    this.say = say;
  }

  /** Begins a fault; it goes on by itself. */
  inject(fault: ChaosFault): void {
    if (this.stopped) return;
    const doing = this.perform(fault).finally(() => this.running.delete(doing));
    this.running.add(doing);
  }

  /** Ends all faults at once; fulfils when everything runs and is whole again. */
  async stop(): Promise<void> {
    this.stopped = true;
    this.cluster.healing = true;
    for (const release of this.releases) release();
    await Promise.all([...this.running]);
    const { members, wires } = this.cluster;
    for (const { disk, node, number } of members) {
      for (const other of members) if (other.number !== number) this.join(number, other.number);
      disk.free();
      node.resume();
      // A call that is to fail and never came, or one that failed and was not yet noticed.
      if (node.injured) await node.end("SIGKILL");
      await node.shiftClock(0);
      node.start();
      if (wires.canDelay) for (const other of members) wires.delay(number, other.number, 0);
    }
  }

  private join(from: number, to: number): void {
    this.cluster.wires.unblock(from, to);
  }

  private hit(kind: ChaosFaultKind, text: string): void {
    this.hits.set(kind, (this.hits.get(kind) ?? 0) + 1);
    this.say(`${kind}: ${text}`);
  }

  /** Time goes by; less when the faults are over. */
  private pass(ms: number): Promise<void> {
    if (this.stopped) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        this.releases.delete(end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      this.releases.add(end);
    });
  }

  private async perform(fault: ChaosFault): Promise<void> {
    switch (fault.kind) {
      case "kill":
      case "power":
        return this.kill(fault);
      case "restart":
        return this.alone(fault.target, async (member) => {
          this.hit(fault.kind, member.node.name);
          await member.node.end("SIGTERM");
          member.node.start();
        });
      case "pause":
        return this.alone(fault.target, async ({ node }) => {
          this.hit(fault.kind, `${node.name} for ${fault.ms} ms`);
          node.pause();
          await this.pass(fault.ms);
          node.resume();
        });
      case "partition":
        return this.partition(fault);
      case "delay":
        return this.delay(fault);
      case "reset":
        return this.reset(fault.target);
      case "full":
        return this.fill(fault);
      case "disk-error":
        return this.failDisk(fault);
      case "clock":
        return this.alone(fault.target, async ({ node }) => {
          this.hit(fault.kind, `${node.name} by ${fault.jumpMs} ms`);
          await node.shiftClock(fault.jumpMs);
        });
    }
  }

  /** Two faults that stop or start a process do not meet on one node. */
  private async alone(target: Target, work: (member: Member) => Promise<void>): Promise<void> {
    const member = await this.cluster.resolve(target);
    if (member.busy || this.stopped) return;
    member.busy = true;
    try {
      await work(member);
    } finally {
      member.busy = false;
    }
  }

  private async kill(fault: Extract<ChaosFault, { kind: "kill" | "power" }>): Promise<void> {
    const { cluster } = this;
    const named = fault.targets === "all" ? cluster.members : await Promise.all(fault.targets.map((target) => cluster.resolve(target)));
    const members = [...new Set(named)].filter(({ busy }) => !busy);
    if (members.length === 0 || this.stopped) return;
    for (const member of members) member.busy = true;
    this.hit(fault.kind, `${members.map(({ node }) => node.name).join(", ")} for ${fault.downMs} ms`);
    await Promise.all(members.map(({ node }) => node.end("SIGKILL")));
    for (const member of members) cluster.afterDeath(member, fault.kind === "power");
    await this.pass(fault.downMs);
    for (const member of members) {
      member.node.start();
      member.busy = false;
    }
  }

  private async partition({ direction, kind, ms, others, target }: Extract<ChaosFault, { kind: "partition" }>): Promise<void> {
    const { members, wires } = this.cluster;
    const member = await this.cluster.resolve(target);
    if (this.stopped) return;
    const cut = members.filter(({ number }) => number !== member.number).slice(0, others);
    this.hit(kind, `${member.node.name} from ${cut.map(({ node }) => node.name).join(", ")} (${direction}) for ${ms} ms`);
    for (const { number } of cut) {
      if (direction !== "in") wires.block(member.number, number);
      if (direction !== "out") wires.block(number, member.number);
    }
    await this.pass(ms);
    for (const { number } of cut) {
      this.join(member.number, number);
      this.join(number, member.number);
    }
  }

  private async delay({ delayMs, kind, ms, target }: Extract<ChaosFault, { kind: "delay" }>): Promise<void> {
    const { members, wires } = this.cluster;
    const member = await this.cluster.resolve(target);
    if (this.stopped) return;
    this.hit(kind, `what ${member.node.name} says by ${delayMs} ms, for ${ms} ms`);
    const set = (value: number): void => {
      for (const { number } of members) if (number !== member.number) wires.delay(member.number, number, value);
    };
    set(delayMs);
    await this.pass(ms);
    set(0);
  }

  private async reset(target: Target): Promise<void> {
    const { members, wires } = this.cluster;
    const member = await this.cluster.resolve(target);
    if (this.stopped) return;
    this.hit("reset", member.node.name);
    for (const { number } of members) if (number !== member.number) wires.reset(member.number, number);
  }

  private async fill(fault: Extract<ChaosFault, { kind: "full" }>): Promise<void> {
    await this.alone(fault.target, async (member) => {
      const { disk, node } = member;
      if (!disk.isSmall) {
        this.leftOut.set(fault.kind, "a disk that can be filled needs root");
        return;
      }
      this.hit(fault.kind, `${node.name} but ${fault.leftBytes} bytes for ${fault.ms} ms${fault.restart ? ", restarted" : ""}`);
      if (fault.restart) await node.end("SIGKILL");
      disk.fill(fault.leftBytes);
      node.start();
      await this.pass(fault.ms);
      disk.free();
      // It may have refused to begin without room for a log.
      node.start();
    });
  }

  private async failDisk(fault: Extract<ChaosFault, { kind: "disk-error" }>): Promise<void> {
    await this.alone(fault.target, async (member) => {
      const { node } = member;
      this.hit(fault.kind, `one of the ${fault.on} of ${node.name}`);
      const one = { reads: "failReads", syncs: "failSyncs", writes: "failWrites" } as const;
      await node.failDisk({ [one[fault.on]]: 1 });
      await this.pass(fault.downMs);
      // Whether it stopped by itself, was about to, or never noticed: its machine goes down with the broken disk.
      await node.end("SIGKILL");
      this.cluster.afterDeath(member, fault.power);
      node.start();
    });
  }
}
