import { checkLinearizable } from "../sim/index.ts";
import type { Interval } from "../sim/index.ts";
import { HistoryViolation } from "./history.ts";
import type { Checker, Operation } from "./history.ts";

/** What one object shall do when one caller after the other uses it. */
export interface Model<S, I, O> {
  /** Which recorded calls it is about, by the name given to `history.call`. */
  readonly name: string;
  readonly initial: S;
  /** The answer to `input` in `state`, and the state after it. Neither may be changed in place. */
  apply(state: S, input: I): { readonly state: S; readonly output: O };
  /** Calls with different keys use different objects. Default: one object. */
  key?(input: I): string | number;
}

/**
 * There is one order of the calls, respecting real time, in which every answer is the model's. Answers
 * and states are compared by their JSON text. A history that is too long to decide is a violation, too:
 * record fewer concurrent calls.
 */
export function linearizable<S, I, O>(model: Model<S, I, O>): Checker {
  return (history) => {
    for (const [key, calls] of group(
      history.calls.filter(({ name, outcome }) => name === model.name && outcome !== "failed"),
      (call) => model.key?.(call.input as I) ?? "",
    )) {
      const intervals = calls.map(intervalOf<I>);
      const { verdict, longest } = checkLinearizable<S, I, string>(
        {
          initial: model.initial,
          step: (state, input, output) => {
            const next = model.apply(state, input);
            return output === undefined || output === text(next.output) ? { state: next.state } : undefined;
          },
          key: text,
        },
        intervals,
      );
      if (verdict === "ok") continue;
      const object = key === "" ? "" : ` of ${key}`;
      if (verdict === "unknown") throw new HistoryViolation(`${model.name}${object}: ${calls.length} calls are too many to decide`);
      throw new HistoryViolation(
        [
          `${model.name}${object}: no order explains all answers. The longest that could be explained:`,
          ...longest.map((position) => `  ${describe(calls[position] as Operation)}`),
          "All calls:",
          ...calls.map((call) => `  ${describe(call)}`),
        ].join("\n"),
      );
    }
  };
}

function intervalOf<I>(call: Operation): Interval<I, string> {
  const known = call.outcome === "ok";
  return {
    input: call.input as I,
    output: known ? text(call.output) : undefined,
    called: call.called,
    returned: known ? call.returned : Number.POSITIVE_INFINITY,
  };
}

export interface ExactlyOnceOptions {
  /** Which effects, as "service.method". */
  readonly name: string;
  /** What must happen once, from the arguments of the effect. */
  key(values: readonly unknown[]): string | number;
  /** What must have happened by now. Default: nothing; then only a second time is a violation. */
  readonly expected?: readonly (string | number)[] | undefined;
}

/** No effect happened twice for a key, and for each key of `expected` it happened. */
export function exactlyOnce(options: ExactlyOnceOptions): Checker {
  return (history) => {
    const effects = history.effects.filter(({ name }) => name === options.name);
    const groups = group(effects, ({ input }) => options.key(input as readonly unknown[]));
    for (const [key, times] of groups) {
      if (times.length === 1) continue;
      throw new HistoryViolation(
        [`${options.name} happened ${times.length} times for ${key}:`, ...times.map((effect) => `  ${describe(effect)}`)].join("\n"),
      );
    }
    for (const key of options.expected ?? []) {
      if (!groups.has(key)) throw new HistoryViolation(`${options.name} never happened for ${key}`);
    }
  };
}

export interface NeverTwoOptions {
  /** Which recorded calls, by the name given to `history.call`. */
  readonly name: string;
  /** What must not be shared. Default: one thing. */
  key?(input: unknown): string | number;
}

/**
 * No two of the calls were under way at the same time. A call that a crash cut off ended with the crash. A
 * process that stands still is still within its call: a lease may have passed to another meanwhile, which is
 * why what such a process does next must be fenced, and checked as an effect.
 */
export function neverTwo(options: NeverTwoOptions): Checker {
  return (history) => {
    const calls = history.calls.filter(({ name }) => name === options.name);
    for (const [key, spans] of group(calls, ({ input }) => options.key?.(input) ?? "")) {
      const ordered = [...spans].sort((a, b) => a.called - b.called);
      let open: Operation | undefined;
      for (const span of ordered) {
        if (open !== undefined && open.returnedMs > span.calledMs) {
          const what = key === "" ? options.name : `${options.name} of ${key}`;
          throw new HistoryViolation(`two at a time in ${what}:\n  ${describe(open)}\n  ${describe(span)}`);
        }
        if (open === undefined || span.returnedMs > open.returnedMs) open = span;
      }
    }
  };
}

function group(operations: readonly Operation[], keyOf: (operation: Operation) => string | number): Map<string | number, Operation[]> {
  const groups = new Map<string | number, Operation[]>();
  for (const operation of operations) {
    const key = keyOf(operation);
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [operation]);
    else members.push(operation);
  }
  return groups;
}

function text(value: unknown): string {
  return JSON.stringify(value) ?? "undefined";
}

function describe({ calledMs, input, name, outcome, output, process, returnedMs }: Operation): string {
  const end = Number.isFinite(returnedMs) ? returnedMs.toFixed(1) : "…";
  return `${calledMs.toFixed(1)} to ${end} ms  ${process}  ${name} ${text(input)} → ${outcome === "ok" ? text(output) : outcome}`;
}
