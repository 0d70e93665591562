import { Prng } from "../base/index.ts";
import type { Cluster, Member } from "./cluster.ts";
import { sitesOf } from "./rot-sites.ts";
import type { Site, SiteKind } from "./rot-sites.ts";

export interface Rot {
  /** Which kind of bytes; "any": whatever the pick falls on. */
  readonly where: SiteKind | "any";
  /** One bit, or the rest of its sector in zeros, as a disk gives what it cannot read. */
  readonly extent: "bit" | "sector";
  /** In how many places. */
  readonly places: number;
  readonly pick: number;
}

interface Wound {
  /** Damaged files that were there, by the object that stood for them. */
  readonly files: readonly { readonly path: string; readonly file: object }[];
  /** The replicas that it had then. */
  readonly replicas: readonly string[];
  /** Of the host, when it happened. */
  readonly life: number;
  readonly atMs: number;
}

/** After so long a leader knows that a replica does not answer, or is suspect. */
const noticedMs = 3_000;
const sectorBytes = 512;
const newestSites = 4;

/**
 * Damage to what disks hold, and its budget: as long as it is kept, the replicas whose disks are whole form a
 * quorum of every group, and the very last batch of a log, which nothing yet calls synced, is spared. Within it nothing
 * acknowledged may be lost. Beyond it a cluster may stop, and must say so.
 */
export class Damage {
  private readonly cluster: Cluster;
  private readonly kept: boolean;
  private readonly wounds = new Map<Member, Wound[]>();

  constructor(cluster: Cluster, budget: "kept" | "beyond") {
    this.cluster = cluster;
    this.kept = budget === "kept";
  }

  /** Whether the disk of `member` may be damaged now. */
  mayHit(member: Member): boolean {
    return !this.kept || this.leavesQuorums(member);
  }

  /**
   * Whether members may be asked to leave now. Not right after damage: a leader that has not noticed it yet might make the damaged copy
   * a voter in the place of one that leaves, and nobody can know better.
   */
  mayLeave(): boolean {
    const { nowMs } = this.cluster.world.scheduler;
    return [...this.wounds.keys()].every((member) => this.open(member).every(({ atMs }) => nowMs - atMs > noticedMs));
  }

  /** Flips bits of a disk whose machine lost its power, so that all that stands there is durable. True: something was hit. */
  rot(member: Member, rot: Rot): boolean {
    const prng = new Prng(rot.pick);
    const files = member.disk.files().map(({ path }) => ({ path, bytes: member.disk.bytesOf(path) }));
    let sites = sitesOf(files).filter((site) => this.mayRot(member, site));
    if (rot.where !== "any") sites = sites.filter(({ kind }) => kind === rot.where);
    // Of hard state only the newest counts, which is kept twice.
    if (rot.where === "hard-state" || rot.where === "state") sites = sites.slice(-newestSites);
    const hit: Site[] = [];
    for (let i = 0; i < rot.places && sites.length > 0; i++) {
      // By kind first: a log has a thousand entries for each snapshot.
      const kind = prng.pick([...new Set(sites.map((site) => site.kind))]);
      const site = prng.pick(sites.filter((candidate) => candidate.kind === kind));
      const offset = site.offset + prng.below(site.length);
      if (rot.extent === "bit") member.disk.corrupt(site.path, offset, prng.below(8));
      else member.disk.erase(site.path, offset, Math.min(site.offset + site.length, (Math.floor(offset / sectorBytes) + 1) * sectorBytes));
      hit.push(site);
      // Of the two copies of the identity one is enough to lose.
      if (site.kind === "identity") sites = sites.filter((candidate) => candidate.kind !== "identity");
    }
    if (hit.length > 0) this.wound(member, hit);
    return hit.length > 0;
  }

  /** Puts an empty disk in the place of this one. Never beyond the budget: what is gone without a trace cannot be missed. */
  replace(member: Member): boolean {
    // Whoever founded a cluster alone founds another one when it has forgotten the first.
    const foundsAlone = member.seeds.length === 1 && member.seeds[0] === member.address;
    if (foundsAlone || !this.leavesQuorums(member)) return false;
    this.wound(member, []);
    member.disk.wipe();
    member.replaced = true;
    return true;
  }

  private wound(member: Member, sites: readonly Site[]): void {
    const files = [...new Set(sites.map(({ path }) => path))].flatMap((path) => {
      const file = member.disk.identityOf(path);
      return file === undefined ? [] : [{ path, file }];
    });
    member.damaged = true;
    const list = this.wounds.get(member) ?? [];
    const { nowMs } = this.cluster.world.scheduler;
    list.push({ files, replicas: [...member.owned], life: member.machine.host.life, atMs: nowMs });
    this.wounds.set(member, list);
  }

  /** A copy of the identity may rot while the other one is whole. */
  private mayRot(member: Member, site: Site): boolean {
    if (site.kind !== "identity") return true;
    return !this.open(member).some(({ files }) => files.some(({ path }) => path.startsWith("IDENTITY.")));
  }

  /** Wounds that are not healed: damaged bytes still on the disk, a replica not trusted again or not yet replaced by another. */
  private open(member: Member): Wound[] {
    const left = (this.wounds.get(member) ?? []).filter((wound) => !this.isHealed(member, wound));
    this.wounds.set(member, left);
    return left;
  }

  private isHealed(member: Member, { files, life, replicas }: Wound): boolean {
    const { disk, machine, node } = member;
    if (node === undefined || machine.host.life <= life) return false;
    if (files.some(({ file, path }) => disk.identityOf(path) === file)) return false;
    const here = new Map([...node.groups.all()].map((replica) => [`${replica.group}/${replica.id}`, replica]));
    return this.cluster.groups().every((group) => {
      const configuration = this.cluster.configuration(group);
      if (configuration === undefined) return false;
      const counted = [...configuration.voters, ...configuration.outgoing, ...configuration.learners];
      return counted.every((id) => {
        const name = `${group}/${id}`;
        if (!replicas.includes(name)) return true;
        const replica = here.get(name);
        return replica !== undefined && !replica.status().suspect && replica.applied >= replica.commit;
      });
    });
  }

  private leavesQuorums(hit: Member): boolean {
    const wounded = new Set([hit, ...[...this.wounds.keys()].filter((member) => this.open(member).length > 0)]);
    // While voters are changing, any two copies may be a majority of the next ones.
    if (wounded.size > 1 && [...this.cluster.members.values()].some((member) => member.leaving && !member.removed)) return false;
    return this.cluster.groups().every((group) => {
      const configuration = this.cluster.configuration(group);
      if (configuration === undefined) return false;
      return [configuration.voters, configuration.outgoing].every((voters) => {
        const whole = voters.filter((id) => {
          const owner = this.cluster.owner(group, id);
          return owner !== undefined && !owner.removed && !wounded.has(owner);
        });
        return voters.length === 0 || whole.length > voters.length / 2;
      });
    });
  }
}
