import { probeTable } from "../base/index.ts";

/** Seeds of one profile that were run at one commit: a line of the campaign's file. */
export interface CampaignBatch {
  readonly profile: string;
  readonly from: number;
  readonly count: number;
  readonly commit: string;
  /** Seeds that failed. */
  readonly failed: readonly number[];
  readonly realMs: number;
  /** How often each named rare state was reached. */
  readonly probes: Readonly<Record<string, number>>;
}

/** A fix touched these profiles: what passed before it counts no more. */
export interface CampaignRestart {
  readonly restart: readonly string[];
  readonly commit: string;
  readonly reason: string;
}

export type CampaignLine = CampaignBatch | CampaignRestart;

/** What a campaign knows of a profile. */
export interface CampaignCount {
  /** Seeds since the last restart, and those of them that failed. */
  readonly seeds: number;
  readonly failed: readonly number[];
  /** The first seed that was never run. */
  readonly next: number;
  readonly commits: readonly string[];
}

/** Reads the file's lines; one that a crash cut off is passed over. */
export function parseCampaign(text: string): CampaignLine[] {
  const lines: CampaignLine[] = [];
  for (const line of text.split("\n")) {
    if (!line.startsWith("{") || !line.endsWith("}")) continue;
    lines.push(JSON.parse(line) as CampaignLine);
  }
  return lines;
}

export function countOf(lines: readonly CampaignLine[], profile: string): CampaignCount {
  let seeds = 0;
  let next = 1;
  let failed: number[] = [];
  let commits = new Set<string>();
  for (const line of lines) {
    if ("restart" in line) {
      if (!line.restart.includes(profile)) continue;
      seeds = 0;
      failed = [];
      commits = new Set();
    } else if (line.profile === profile) {
      seeds += line.count;
      next = Math.max(next, line.from + line.count);
      failed.push(...line.failed);
      commits.add(line.commit);
    }
  }
  return { seeds, failed, next, commits: [...commits] };
}

/** The next seeds to run so that all profiles reach `seeds` together; undefined when they have. Seeds are never run twice. */
export function nextBatch(
  lines: readonly CampaignLine[],
  profiles: readonly string[],
  seeds: number,
  batchMax: number,
): { readonly profile: string; readonly from: number; readonly count: number } | undefined {
  const each = Math.ceil(seeds / profiles.length);
  const counts = profiles.map((profile) => ({ profile, ...countOf(lines, profile) }));
  const least = counts.reduce((best, candidate) => (candidate.seeds < best.seeds ? candidate : best));
  if (least.seeds >= each) return undefined;
  return { profile: least.profile, from: least.next, count: Math.min(batchMax, each - least.seeds) };
}

export function probesOf(lines: readonly CampaignLine[]): Map<string, number> {
  const probes = new Map<string, number>();
  for (const line of lines) {
    if ("restart" in line) continue;
    for (const [name, count] of Object.entries(line.probes ?? {})) probes.set(name, (probes.get(name) ?? 0) + count);
  }
  return probes;
}

/** The rare states that nobody reached, each with its sentence. */
export function describeUnreached(reached: ReadonlyMap<string, number>): string {
  const names = Object.entries(probeTable).filter(([name]) => !reached.has(name));
  if (names.length === 0) return `all ${Object.keys(probeTable).length} rare states were reached`;
  return ["never reached:", ...names.map(([name, sentence]) => `  ${name}: ${sentence}`)].join("\n");
}

/** A line per profile. */
export function describeCampaign(lines: readonly CampaignLine[], profiles: readonly string[]): string {
  const rows = profiles.map((profile) => {
    const { commits, failed, seeds } = countOf(lines, profile);
    const verdict = failed.length === 0 ? "all passed" : `${failed.length} FAILED: ${failed.slice(0, 20).join(", ")}`;
    return `${profile.padEnd(10)} ${String(seeds).padStart(7)} seeds, ${verdict}${commits.length === 0 ? "" : ` (${commits.map((commit) => commit.slice(0, 8)).join(", ")})`}`;
  });
  const total = profiles.reduce((sum, profile) => sum + countOf(lines, profile).seeds, 0);
  return [...rows, `${"together".padEnd(10)} ${String(total).padStart(7)} seeds since the last restart of each`].join("\n");
}
