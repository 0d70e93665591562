interface Round {
  /** The first round of heartbeats that confirms it. */
  readonly attempt: number;
  /** The commit index when it began. */
  readonly index: number;
  readonly contexts: readonly number[];
}

/**
 * ReadIndex (thesis, section 6.4), batched. Every broadcast of heartbeats while reads wait is an attempt
 * with a number of its own; an answer to it proves that its sender had not left the term *after* every
 * read that was asked before that attempt.
 */
export class Reads {
  /** Asked, and not yet part of a round: the next ready begins one, once an entry of the term is committed. */
  waiting: number[] = [];
  rounds: Round[] = [];
  /** The newest attempt; 0: none in this life. */
  attempt = 0;
  /** A round is wanted although nobody reads: a suspect replica waits for it. */
  wanted = false;
}
