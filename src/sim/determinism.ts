/** Two runs of one seed that did not do the same. */
export interface Difference {
  readonly hashes: readonly [string, string];
  /** What both did last, and then each of the two; undefined: it was not seen again with recording on. */
  readonly seen: { readonly event: number; readonly common: readonly string[]; readonly one: string; readonly two: string } | undefined;
}

const commonLines = 3;

/**
 * Runs once more and compares with the hash of an earlier run; when they differ, twice more, and finds
 * the first event that does. Undefined: the same to the last event.
 */
export async function findDifference(
  hash: string,
  run: (record?: (line: string) => void) => Promise<{ readonly hash: string }>,
): Promise<Difference | undefined> {
  const again = await run();
  if (again.hash === hash) return undefined;
  const runs: string[][] = [];
  for (let i = 0; i < 2; i++) {
    const lines: string[] = [];
    await run((line) => void lines.push(line));
    runs.push(lines);
  }
  const [one = [], two = []] = runs;
  return { hashes: [hash, again.hash], seen: firstDifference(one, two) };
}

/** Where two recorded runs part. A run that ends earlier differs there. */
export function firstDifference(one: readonly string[], two: readonly string[]): Difference["seen"] {
  let event = 0;
  while (event < Math.max(one.length, two.length) && one[event] === two[event]) event++;
  if (event === Math.max(one.length, two.length)) return undefined;
  const ended = "(the end)";
  return {
    event,
    common: one.slice(Math.max(0, event - commonLines), event),
    one: one[event] ?? ended,
    two: two[event] ?? ended,
  };
}

export function describeDifference({ hashes, seen }: Difference): string {
  const first = `${hashes[0]}, then ${hashes[1]}`;
  if (seen === undefined) return `${first}; two more runs, recorded, were the same`;
  const lines = [...seen.common.map((line) => `  ${line}`), `- ${seen.one}`, `+ ${seen.two}`];
  return [`${first}; the first event that differs is number ${seen.event + 1}`, ...lines]
    .map((line, i) => (i === 0 ? line : `  ${line}`))
    .join("\n");
}
