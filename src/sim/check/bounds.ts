/** What a node holds in memory at one moment, in bytes. */
export interface Held {
  readonly node: string;
  /** All that counts against the budget. */
  readonly usedBytes: number;
  readonly budgetBytes: number;
  /** Requests in flight, and answers that their readers have not taken. */
  readonly bufferedBytes: number;
  readonly replicas: readonly {
    readonly group: number;
    /** Proposed here and not committed yet. */
    readonly uncommittedBytes: number;
    /** The machine's state and history, and the log's tail. */
    readonly memoryBytes: number;
  }[];
}

export interface BoundLimits {
  readonly uncommittedBytesMax: number;
  /** Of one entry, which may be let in while there is any room. */
  readonly entryBytesMax: number;
}

/** At any moment: the budget holds, and so does the limit of what waits for a quorum. */
export function checkBounds({ budgetBytes, node, replicas, usedBytes }: Held, limits: BoundLimits): string[] {
  const found: string[] = [];
  if (usedBytes > budgetBytes) found.push(`${node} holds ${usedBytes} bytes, and its budget is ${budgetBytes}`);
  for (const { group, uncommittedBytes } of replicas) {
    if (uncommittedBytes > limits.uncommittedBytesMax + limits.entryBytesMax)
      found.push(`${node} holds ${uncommittedBytes} uncommitted bytes of group ${group}, ${limits.uncommittedBytesMax} allowed`);
  }
  return found;
}

/** What is kept beside what was written: slabs that are not full, indexes, sessions with their replies. */
const besidesBytesMax = 8 * 1024 * 1024;
/** An entry is kept as a command in the log's tail, in the state, in the history, and with its reply. */
const copiesMax = 6;

/**
 * When nobody asks for anything any more: nothing waits in a queue, and no more is kept than what all clients together ever
 * wrote accounts for. What is left over in a run of seconds fills the memory in one of weeks.
 */
export function checkRest({ bufferedBytes, node, replicas }: Held, writtenBytes: number): string[] {
  const found: string[] = [];
  if (bufferedBytes > 0) found.push(`${node} is at rest and holds ${bufferedBytes} bytes in buffers`);
  for (const { group, memoryBytes, uncommittedBytes } of replicas) {
    if (uncommittedBytes > 0) found.push(`${node} is at rest and holds ${uncommittedBytes} uncommitted bytes of group ${group}`);
    if (memoryBytes > besidesBytesMax + copiesMax * writtenBytes)
      found.push(`${node} holds ${memoryBytes} bytes of group ${group}, in which ${writtenBytes} were written`);
  }
  return found;
}
