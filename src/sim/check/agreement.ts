/** An entry as one replica applied it. */
export interface AppliedEntry {
  readonly index: number;
  readonly term: number;
  /** Of kind and content. */
  readonly checksum: number;
  /** Of the machine's state after it. */
  readonly stateHash: string;
}

/**
 * Watches the replicas while they run: what is applied at an index is the same everywhere and
 * for ever, so is the state after it, and a term has one leader.
 *
 * Invariant: `entries` and `states` hold, per group and index, what the first replica to get there had.
 */
export class Agreement {
  readonly violations: string[] = [];
  private readonly groups = new Map<number, GroupAgreement>();
  private entriesSeen = 0;

  /** Entries compared so far, counted once per replica and life. */
  get compared(): number {
    return this.entriesSeen;
  }

  /** A replica applied an entry. Indexes of one life of a replica go up by one; `began` is called at each life's start. */
  applied(node: string, group: number, entry: AppliedEntry): void {
    this.entriesSeen++;
    const known = this.group(group);
    const last = known.applied.get(node);
    if (last !== undefined && entry.index !== last + 1) this.report(`${node} applied entry ${entry.index} of group ${group} after ${last}`);
    known.applied.set(node, entry.index);
    const first = known.entries.get(entry.index);
    const chain = link(known.chains.get(node), entry);
    known.chains.set(node, chain);
    if (first === undefined) known.entries.set(entry.index, { node, term: entry.term, checksum: entry.checksum, chain });
    else if (first.term !== entry.term || first.checksum !== entry.checksum) {
      this.report(
        `entry ${entry.index} of group ${group}: ${node} applied term ${entry.term}, checksum ${entry.checksum}; ${first.node} term ${first.term}, checksum ${first.checksum}`,
      );
    } else if (first.chain !== undefined && chain !== undefined && first.chain !== chain)
      this.report(`what ${node} and ${first.node} applied of group ${group} before entry ${entry.index} is not the same`);
    else first.chain ??= chain;
    this.state(node, group, entry.index, entry.stateHash);
  }

  /** A replica's state at `index`, after a start or the installation of a snapshot too. */
  state(node: string, group: number, index: number, stateHash: string): void {
    const known = this.group(group);
    const first = known.states.get(index);
    if (first === undefined) known.states.set(index, { node, stateHash });
    else if (first.stateHash !== stateHash)
      this.report(`state of group ${group} at ${index}: ${node} has ${stateHash}, ${first.node} has ${first.stateHash}`);
  }

  /** A replica begins at `index`: a start from a snapshot or from nothing, or an installed snapshot. */
  began(node: string, group: number, index: number): void {
    const known = this.group(group);
    known.applied.set(node, index);
    known.chains.set(node, index === 0 ? 0 : known.entries.get(index)?.chain);
  }

  /** `atMs`: when it was seen. */
  leads(node: string, group: number, term: number, atMs = 0): void {
    const known = this.group(group);
    if (!known.leaders.has(term)) known.ledSinceMs = atMs;
    const first = known.leaders.get(term);
    if (first === undefined) known.leaders.set(term, node);
    else if (first !== node) this.report(`term ${term} of group ${group} has two leaders, ${first} and ${node}`);
  }

  /** When the newest leader was first seen. */
  ledSinceMs(group: number): number {
    return this.group(group).ledSinceMs;
  }

  /** Distinct terms with a leader, over all groups. */
  get elections(): number {
    let count = 0;
    for (const group of this.groups.values()) count += group.leaders.size;
    return count;
  }

  private report(text: string): void {
    if (this.violations.length < 20) this.violations.push(text);
  }

  private group(id: number): GroupAgreement {
    let group = this.groups.get(id);
    if (group === undefined) {
      group = { applied: new Map(), chains: new Map(), entries: new Map(), states: new Map(), leaders: new Map(), ledSinceMs: 0 };
      this.groups.set(id, group);
    }
    return group;
  }
}

/** The chain with one more entry. */
function link(chain: number | undefined, { checksum, index, term }: AppliedEntry): number | undefined {
  if (chain === undefined) return undefined;
  let next = Math.imul(chain ^ checksum, 0x01000193);
  next = Math.imul(next ^ term, 0x85ebca6b);
  return Math.imul(next ^ index ^ (next >>> 15), 0xc2b2ae35) >>> 0;
}

interface GroupAgreement {
  /** The last index that each node applied in its present life. */
  readonly applied: Map<string, number>;
  readonly entries: Map<number, { readonly node: string; readonly term: number; readonly checksum: number; chain: number | undefined }>;
  /** Of everything that each node has applied, from the first entry on; undefined: it began where nobody has been before. */
  readonly chains: Map<string, number | undefined>;
  readonly states: Map<number, { readonly node: string; readonly stateHash: string }>;
  readonly leaders: Map<number, string>;
  ledSinceMs: number;
}
