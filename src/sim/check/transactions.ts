import { cyclesOf } from "./cycles.ts";
import type { Edge } from "./cycles.ts";

/** A transaction over lists, as its client knows it: an element is appended once in the whole history. */
export interface Transaction {
  /** How it is shown. */
  readonly name: string;
  readonly outcome: "ok" | "unknown" | "not-applied";
  /** Positions in one order of events. `returned` is Infinity unless the outcome is ok. */
  readonly called: number;
  readonly returned: number;
  /** What it read, before its own appends. Known only of an outcome that is ok. */
  readonly reads: readonly { readonly key: string; readonly list: readonly string[] }[];
  readonly appends: readonly { readonly key: string; readonly element: string }[];
}

/**
 * Is there one order of the transactions that agrees with real time and in which each reads what was appended
 * before it? Lists tell their own order, so the dependencies between transactions follow from what was
 * read alone (after Kingsbury and Alvaro, "Elle", 2020); a cycle among them is a violation with a name:
 *
 * - G1a: read what a refused transaction appended. G1b: read between the appends of one transaction.
 * - G0: a cycle of writes behind writes. G1c: with reads of what was written.
 * - G-single: with one read that missed a later write. G2: with several.
 * - "-realtime" behind a name: the cycle needs that one had returned before another was called.
 */
export function checkTransactions(transactions: readonly Transaction[]): string[] {
  const order = new Order(transactions);
  if (order.found.length > 0) return order.found;
  return cyclesOf(transactions.length, [...order.edges(), ...realTime(transactions, order.applied)]).map(
    ({ name, steps }) =>
      `${name}:\n${steps.map(({ edge, from }) => `    ${transactions[from]?.name ?? ""}\n      ${edge.why}`).join("\n")}\n    which closes the circle`,
  );
}

class Order {
  readonly found: string[] = [];
  /** Those that are known to have happened: acknowledged, or read. */
  readonly applied: boolean[];
  private readonly transactions: readonly Transaction[];
  private readonly writers = new Map<string, number>();
  private readonly versions = new Map<string, readonly string[]>();

  constructor(transactions: readonly Transaction[]) {
    this.transactions = transactions;
    this.applied = transactions.map(({ outcome }) => outcome === "ok");
    transactions.forEach(({ appends }, at) => {
      for (const { element, key } of appends) this.writers.set(`${key}+${element}`, at);
    });
    for (const transaction of transactions) for (const { key, list } of transaction.reads) this.note(transaction, key, list);
    if (this.found.length > 0) return;
    for (const transaction of transactions) this.checkAborted(transaction);
  }

  private note(reader: Transaction, key: string, list: readonly string[]): void {
    if (reader.outcome !== "ok") return;
    const twice = list.find((element, at) => list.indexOf(element) !== at);
    if (twice !== undefined) this.found.push(`${key} holds ${twice} twice: ${reader.name}`);
    const known = this.versions.get(key) ?? [];
    const [short, long] = known.length < list.length ? [known, list] : [list, known];
    if (short.some((element, at) => element !== long[at]))
      this.found.push(`${key} was read as ${known.join(" ")} and as ${list.join(" ")}: ${reader.name}`);
    this.versions.set(key, long);
  }

  private checkAborted(reader: Transaction): void {
    for (const { key, list } of reader.reads) {
      for (const element of list) {
        const at = this.writers.get(`${key}+${element}`);
        const writer = at === undefined ? undefined : this.transactions[at];
        if (at === undefined || writer === undefined) this.found.push(`${key} holds ${element}, which nobody appended: ${reader.name}`);
        else if (writer.outcome === "not-applied")
          this.found.push(`G1a: ${key} holds ${element}, which was refused: ${writer.name}, read by ${reader.name}`);
        else this.applied[at] = true;
      }
      const last = list.at(-1);
      const writer = last === undefined ? undefined : this.transactions[this.writers.get(`${key}+${last}`) ?? -1];
      const own = writer?.appends.filter((append) => append.key === key) ?? [];
      if (writer !== undefined && writer !== reader && own.at(-1)?.element !== last)
        this.found.push(`G1b: ${key} was read between the appends of one transaction: ${writer.name}, read by ${reader.name}`);
    }
  }

  edges(): Edge[] {
    const edges: Edge[] = [];
    for (const [key, versions] of this.versions) {
      for (let at = 1; at < versions.length; at++) {
        const [before, after] = [versions[at - 1] as string, versions[at] as string];
        this.join(
          edges,
          this.writer(key, before),
          this.writer(key, after),
          "ww",
          `appended ${before} to ${key}, and behind it comes ${after}`,
        );
      }
    }
    this.transactions.forEach(({ outcome, reads }, reader) => {
      if (outcome !== "ok") return;
      for (const { key, list } of reads) {
        const last = list.at(-1);
        if (last !== undefined) this.join(edges, this.writer(key, last), reader, "wr", `appended ${last} to ${key}, which was read`);
        for (const [next, why] of this.after(key, list)) this.join(edges, reader, next, "rw", why);
      }
    });
    return edges;
  }

  /** Whose append a reader of `list` has not seen: the next in order, or everybody whose append was never read by anyone. */
  private after(key: string, list: readonly string[]): [number, string][] {
    const versions = this.versions.get(key) ?? [];
    const next = versions[list.length];
    if (next !== undefined) return [[this.writer(key, next), `read ${key} without ${next}`]];
    const unread: [number, string][] = [];
    this.transactions.forEach(({ appends, outcome }, at) => {
      for (const { element, key: appended } of appends)
        if (appended === key && outcome === "ok" && !versions.includes(element)) unread.push([at, `read ${key} without ${element}`]);
    });
    return unread;
  }

  private writer(key: string, element: string): number {
    return this.writers.get(`${key}+${element}`) ?? -1;
  }

  private join(edges: Edge[], from: number, to: number, kind: Edge["kind"], why: string): void {
    if (from !== to && from >= 0 && to >= 0) edges.push({ from, to, kind, why });
  }
}

/** Edges from each transaction to those called after it returned, without the ones that follow from others. */
function realTime(transactions: readonly Transaction[], applied: readonly boolean[]): Edge[] {
  const events = transactions
    .flatMap(({ called, returned }, at) =>
      applied[at] === true
        ? [
            { at: called, of: at, begins: true },
            { at: returned, of: at, begins: false },
          ]
        : [],
    )
    .filter(({ at }) => Number.isFinite(at))
    .sort((a, b) => a.at - b.at);
  const edges: Edge[] = [];
  /** Returned, and nothing that was called after that has returned: whatever is called now follows them. */
  let frontier: number[] = [];
  for (const { begins, of } of events) {
    if (begins) for (const from of frontier) edges.push({ from, to: of, kind: "rt", why: "had returned before the next was called" });
    else
      frontier = [
        ...frontier.filter((other) => (transactions[other] as Transaction).returned > (transactions[of] as Transaction).called),
        of,
      ];
  }
  return edges;
}
