/**
 * Is there one order of the operations that respects real time and in which every answer is right?
 * The search of Wing and Gong with Lowe's memoisation: a partial order is not tried twice from the
 * same set of done operations and the same state.
 */
export interface SequentialModel<S, I, O> {
  readonly initial: S;
  /**
   * The state after `input`, or undefined when `output` cannot be the answer in `state`. An `output` of
   * undefined is an answer that nobody has: any is right.
   */
  step(state: S, input: I, output: O | undefined): { readonly state: S } | undefined;
  /** Equal for equal states, and only for them. */
  key(state: S): string;
}

export interface Interval<I, O> {
  readonly input: I;
  /** Undefined: the outcome is unknown, so that it may take effect at any later time, or never. */
  readonly output: O | undefined;
  /** Positions in one total order of events. `returned` is Infinity exactly when `output` is undefined. */
  readonly called: number;
  readonly returned: number;
}

/** `unknown`: the budget was used up first. */
export type Verdict = "ok" | "illegal" | "unknown";

export interface Linearization {
  readonly verdict: Verdict;
  readonly steps: number;
  /** The longest order found, as positions in the list of intervals: where it ends is where to look. */
  readonly longest: readonly number[];
}

interface Node {
  readonly interval: number;
  readonly isCall: boolean;
  previous: Node | undefined;
  next: Node | undefined;
  /** Of a call: its return, if it has one. */
  readonly match: Node | undefined;
}

/** What a search may cost; beyond it the answer is unknown. */
export interface SearchBudget {
  /** Tries of an operation. Default a million. */
  readonly stepsMax?: number;
  /** Characters of the memory of what was tried. Default 32 million: 64 MiB at most. */
  readonly memoryMax?: number;
}

export function checkLinearizable<S, I, O>(
  model: SequentialModel<S, I, O>,
  intervals: readonly Interval<I, O>[],
  { memoryMax = 32_000_000, stepsMax = 1_000_000 }: SearchBudget = {},
): Linearization {
  return new Search(model, intervals).run(stepsMax, memoryMax);
}

class Search<S, I, O> {
  private readonly model: SequentialModel<S, I, O>;
  private readonly intervals: readonly Interval<I, O>[];
  /** The sentinel before the first event. Events that are not lifted out, in order. */
  private readonly head: Node;
  /** Which operations are done, 16 to a character, so that it is a key as it stands. */
  private readonly done: Uint16Array;
  private readonly tried = new Set<string>();
  /** Characters in `tried`. */
  private remembered = 0;
  private readonly stack: { readonly node: Node; readonly state: S }[] = [];
  private state: S;
  /** Operations with a known outcome that are not done. */
  private left: number;
  private longest: number[] = [];

  constructor(model: SequentialModel<S, I, O>, intervals: readonly Interval<I, O>[]) {
    this.model = model;
    this.intervals = intervals;
    this.head = makeList(intervals);
    this.done = new Uint16Array(Math.ceil(intervals.length / 16));
    this.state = model.initial;
    this.left = intervals.filter((interval) => interval.output !== undefined).length;
  }

  run(stepsMax: number, memoryMax: number): Linearization {
    let steps = 0;
    let node = this.head.next;
    while (this.left > 0) {
      // A return is met only when nothing that may come before it fits: the last choice was wrong.
      if (node === undefined || !node.isCall) {
        const choice = this.stack.pop();
        if (choice === undefined) return { verdict: "illegal", steps, longest: this.longest };
        this.undo(choice.node, choice.state);
        node = choice.node.next;
        continue;
      }
      if (++steps > stepsMax || this.remembered > memoryMax) return { verdict: "unknown", steps, longest: this.longest };
      node = this.maybeTake(node) ? this.head.next : node.next;
    }
    return { verdict: "ok", steps, longest: this.stack.map((choice) => choice.node.interval) };
  }

  private maybeTake(node: Node): boolean {
    const { input, output } = this.intervals[node.interval] as Interval<I, O>;
    const after = this.model.step(this.state, input, output);
    if (after === undefined) return false;
    // An unknown operation that changes nothing here is as good as one that never happens.
    if (output === undefined && this.model.key(after.state) === this.model.key(this.state)) return false;
    this.flip(node.interval);
    const key = `${String.fromCharCode(...this.done)}|${this.model.key(after.state)}`;
    if (this.tried.has(key)) {
      this.flip(node.interval);
      return false;
    }
    this.tried.add(key);
    this.remembered += key.length;
    this.stack.push({ node, state: this.state });
    this.state = after.state;
    if (output !== undefined) this.left--;
    lift(node);
    if (this.stack.length > this.longest.length) this.longest = this.stack.map((choice) => choice.node.interval);
    return true;
  }

  private undo(node: Node, state: S): void {
    this.state = state;
    this.flip(node.interval);
    if ((this.intervals[node.interval] as Interval<I, O>).output !== undefined) this.left++;
    unlift(node);
  }

  private flip(interval: number): void {
    this.done[interval >> 4] = (this.done[interval >> 4] as number) ^ (1 << (interval & 15));
  }
}

function makeList<I, O>(intervals: readonly Interval<I, O>[]): Node {
  const events: { readonly at: number; readonly node: Node }[] = [];
  intervals.forEach((interval, index) => {
    let match: Node | undefined;
    if (interval.output !== undefined) {
      match = { interval: index, isCall: false, previous: undefined, next: undefined, match: undefined };
      events.push({ at: interval.returned, node: match });
    }
    events.push({ at: interval.called, node: { interval: index, isCall: true, previous: undefined, next: undefined, match } });
  });
  events.sort((a, b) => a.at - b.at);
  const head: Node = { interval: -1, isCall: true, previous: undefined, next: undefined, match: undefined };
  let last = head;
  for (const { node } of events) {
    last.next = node;
    node.previous = last;
    last = node;
  }
  return head;
}

function lift(call: Node): void {
  remove(call);
  if (call.match !== undefined) remove(call.match);
}

/** In the reverse order of `lift`, so that the neighbours are those of then. */
function unlift(call: Node): void {
  if (call.match !== undefined) restore(call.match);
  restore(call);
}

function remove(node: Node): void {
  if (node.previous !== undefined) node.previous.next = node.next;
  if (node.next !== undefined) node.next.previous = node.previous;
}

function restore(node: Node): void {
  if (node.previous !== undefined) node.previous.next = node;
  if (node.next !== undefined) node.next.previous = node;
}
