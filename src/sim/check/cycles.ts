/**
 * A dependency between two transactions, named by their numbers. ww: wrote before; wr: wrote what was read;
 * rw: read before it was written; rt: returned before the other was called.
 */
export interface Edge {
  readonly from: number;
  readonly to: number;
  readonly kind: "ww" | "wr" | "rw" | "rt";
  readonly why: string;
}

export interface Cycle {
  readonly name: string;
  readonly steps: readonly { readonly from: number; readonly edge: Edge }[];
}

interface Anomaly {
  readonly name: string;
  /** The edges that may be in the cycle beside the one that closes it. */
  readonly along: ReadonlySet<Edge["kind"]>;
  /** The kind of the edge that closes it. */
  readonly closing: Edge["kind"];
}

const kinds = (...list: Edge["kind"][]): ReadonlySet<Edge["kind"]> => new Set(list);

/** From the worst to the mildest: a cycle is called by the first that fits. */
const anomalies: readonly Anomaly[] = [
  { name: "G0", along: kinds("ww"), closing: "ww" },
  { name: "G1c", along: kinds("ww", "wr"), closing: "wr" },
  { name: "G-single", along: kinds("ww", "wr"), closing: "rw" },
  { name: "G2", along: kinds("ww", "wr", "rw"), closing: "rw" },
  { name: "G0-realtime", along: kinds("ww", "rt"), closing: "ww" },
  { name: "G1c-realtime", along: kinds("ww", "wr", "rt"), closing: "wr" },
  { name: "G-single-realtime", along: kinds("ww", "wr", "rt"), closing: "rw" },
  { name: "G2-realtime", along: kinds("ww", "wr", "rw", "rt"), closing: "rw" },
];

/** One shortest cycle of the worst kind that there is; none: the transactions can be put in order. */
export function cyclesOf(count: number, edges: readonly Edge[]): Cycle[] {
  const out: Edge[][] = Array.from({ length: count }, () => []);
  for (const edge of edges) out[edge.from]?.push(edge);
  const component = components(out);
  for (const { along, closing, name } of anomalies) {
    let best: readonly Edge[] | undefined;
    for (const edge of edges) {
      // The two ends of an edge of a cycle reach each other: all others need no search.
      if (edge.kind !== closing || component[edge.from] !== component[edge.to]) continue;
      const back = path(out, edge.to, edge.from, along);
      if (back !== undefined && (best === undefined || back.length + 1 < best.length)) best = [edge, ...back];
    }
    if (best !== undefined) return [{ name, steps: best.map((edge) => ({ from: edge.from, edge })) }];
  }
  return [];
}

/** A shortest path along edges of the kinds given. */
function path(out: readonly (readonly Edge[])[], from: number, to: number, along: ReadonlySet<Edge["kind"]>): Edge[] | undefined {
  const reached = new Map<number, Edge | undefined>([[from, undefined]]);
  const queue = [from];
  for (let at = 0; at < queue.length; at++) {
    const node = queue[at] as number;
    if (node === to) break;
    for (const edge of out[node] ?? []) {
      if (!along.has(edge.kind) || reached.has(edge.to)) continue;
      reached.set(edge.to, edge);
      queue.push(edge.to);
    }
  }
  if (!reached.has(to)) return undefined;
  const steps: Edge[] = [];
  for (let edge = reached.get(to); edge !== undefined; edge = reached.get(edge.from)) steps.unshift(edge);
  return steps;
}

/** The strongly connected component of each node (Tarjan 1972), without recursion: histories are long. */
function components(out: readonly (readonly Edge[])[]): number[] {
  const count = out.length;
  const order = new Array<number>(count).fill(-1);
  const low = new Array<number>(count).fill(0);
  const component = new Array<number>(count).fill(-1);
  const open: number[] = [];
  let visited = 0;
  let found = 0;
  for (let root = 0; root < count; root++) {
    if (order[root] !== -1) continue;
    const work: { readonly node: number; next: number }[] = [{ node: root, next: 0 }];
    while (work.length > 0) {
      const top = work[work.length - 1] as { readonly node: number; next: number };
      const { node } = top;
      if (top.next === 0) {
        order[node] = low[node] = visited++;
        open.push(node);
      }
      const edge = out[node]?.[top.next++];
      if (edge !== undefined) {
        if (order[edge.to] === -1) work.push({ node: edge.to, next: 0 });
        else if (component[edge.to] === -1) low[node] = Math.min(low[node] as number, order[edge.to] as number);
        continue;
      }
      work.pop();
      const parent = work[work.length - 1]?.node;
      if (parent !== undefined) low[parent] = Math.min(low[parent] as number, low[node] as number);
      if (low[node] !== order[node]) continue;
      for (let member = -1; member !== node; ) {
        member = open.pop() as number;
        component[member] = found;
      }
      found++;
    }
  }
  return component;
}
