/** One place of a source, and what stands there in the mutant. */
export interface Edit {
  /** As it stands in the file, and nowhere else in it. */
  readonly text: string;
  readonly replacement: string;
}

/** Seeds that a mutant must not survive: a profile of the simulator, narrowed as its command line narrows it. */
export interface Ground {
  readonly profile: string;
  readonly workloads?: readonly string[];
  readonly nemeses?: readonly string[];
}

/** A deliberate fault: what a careless change could make of one source file. */
export interface Mutant {
  readonly name: string;
  /** The promise or rule that it breaks, as one sentence. */
  readonly breaks: string;
  /** From the repository, with "/". */
  readonly file: string;
  readonly edits: readonly Edit[];
  readonly ground: Ground;
}

/** A patch whose text is gone, or has become ambiguous: the source has moved on, and the mutant must follow. */
export class StalePatch extends Error {
  override readonly name: string = "StalePatch";
}

/** The source with the fault. Throws `StalePatch` unless each text is there exactly once. */
export function mutate(mutant: Mutant, source: string): string {
  let changed = source;
  for (const { replacement, text } of mutant.edits) {
    const found = source.split(text).length - 1;
    if (found !== 1) {
      const where = found === 0 ? "is not in" : `is ${found} times in`;
      throw new StalePatch(`mutant ${mutant.name}: its text ${where} ${mutant.file}:\n${text}`);
    }
    changed = changed.replace(text, () => replacement);
  }
  if (changed === source) throw new StalePatch(`mutant ${mutant.name} changes nothing in ${mutant.file}`);
  return changed;
}
