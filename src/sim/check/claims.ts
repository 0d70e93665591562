import type { Chronicle } from "./chronicle.ts";

/** One owner's belief that it holds `name`. */
export interface Holding {
  readonly name: string;
  readonly client: string;
  /** The revision that makes this claim younger than all before. */
  readonly fence: number;
  /** For readers: others that are, too, may hold it at the same time. */
  readonly shared: boolean;
  /** When it was told that it holds. */
  readonly fromMs: number;
  /** When its own code saw last that it holds: one that stood still believed nothing meanwhile. */
  untilMs: number;
}

/** Never two at a time, each claim has a higher fence than those before it, and nobody that came later is served earlier. */
export function checkHoldings(holdings: readonly Holding[]): string[] {
  const found: string[] = [];
  for (const list of byName(holdings).values()) {
    for (const [at, holding] of list.entries()) {
      for (const later of list.slice(at + 1)) {
        if (later.fence === holding.fence) found.push(`${describe(holding)} and ${describe(later)} have the same fence`);
        else if (holding.shared && later.shared) continue;
        else if (holding.untilMs > later.fromMs) found.push(`two at a time: ${describe(holding)} and ${describe(later)}`);
      }
    }
  }
  return found;
}

/** In the order of their fences. */
function byName(holdings: readonly Holding[]): Map<string, Holding[]> {
  const names = new Map<string, Holding[]>();
  for (const holding of [...holdings].sort((a, b) => a.fence - b.fence)) {
    const list = names.get(holding.name) ?? [];
    names.set(holding.name, list);
    list.push(holding);
  }
  return names;
}

function describe({ client, fence, fromMs, name, untilMs }: Holding): string {
  return `${client} holding ${name} with fence ${fence} from ${fromMs.toFixed(1)} to ${untilMs.toFixed(1)} ms`;
}

/** A write under a claim of the same keyspace, whatever became of it. Nobody else writes the value. */
export interface FencedWrite {
  readonly key: string;
  readonly value: string;
  /** The claim's own key, and the revision at which it was put there. */
  readonly place: string;
  readonly fence: number;
}

/** What is there was written while its claim was: the claim's key stood there, in the life that the fence names. */
export function checkFencedWrites(writes: readonly FencedWrite[], chronicle: Chronicle): string[] {
  const found: string[] = [];
  const known = new Map(writes.map((write) => [`${write.key}=${write.value}`, write]));
  for (const key of new Set(writes.map((write) => write.key))) {
    for (const { revision, value } of chronicle.writes(key)) {
      const write = value === undefined ? undefined : known.get(`${key}=${value}`);
      if (write === undefined) continue;
      const claim = chronicle.at(write.place, revision);
      if (claim?.value === undefined || claim.createRevision !== write.fence)
        found.push(
          `${key} was written at revision ${revision} under fence ${write.fence}, when ${write.place} ${claim?.value === undefined ? "was gone" : `was that of ${claim.createRevision}`}`,
        );
    }
  }
  return found;
}

/** A write to another keyspace under a claim that guards it, which was acknowledged. */
export interface GuardedWrite {
  readonly name: string;
  readonly fence: number;
  readonly revision: number;
  readonly calledMs: number;
}

/** In a guarded keyspace nothing is written under a claim once a later one of its name has written there, or was given out. */
export function checkGuardedWrites(writes: readonly GuardedWrite[], holdings: readonly Holding[]): string[] {
  const found: string[] = [];
  const highest = new Map<string, GuardedWrite>();
  for (const write of [...writes].sort((a, b) => a.revision - b.revision)) {
    const { calledMs, fence, name, revision } = write;
    const last = highest.get(name);
    const later = holdings.find((holding) => holding.name === name && holding.fence > fence && holding.fromMs < calledMs);
    if (last !== undefined && fence < last.fence)
      found.push(`${name} was written elsewhere under fence ${fence} at revision ${revision}, after ${last.fence} at ${last.revision}`);
    else if (later !== undefined)
      found.push(`${name} was written elsewhere under fence ${fence} at ${calledMs.toFixed(1)} ms, after ${describe(later)}`);
    else highest.set(name, write);
  }
  return found;
}
