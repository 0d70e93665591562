import { describeCall, describeOperation, describeOutcome } from "../history.ts";
import type { Call } from "../history.ts";
import { stuckCalls } from "./registers.ts";
import type { IllegalKey } from "./registers.ts";

/** So many operations are drawn, around the place where no order goes on; more nobody can read. */
const drawnMax = 50;
const columnPx = 92;
const rowPx = 34;
const labelPx = 120;

interface Box {
  readonly call: Call;
  /** Columns: positions among the drawn calls' own events, so that nothing is too narrow to read. */
  readonly from: number;
  readonly to: number;
  readonly row: number;
  /** Its place in the longest order; undefined: none. */
  readonly place: number | undefined;
  readonly isStuck: boolean;
}

/** A page that needs nothing else: who did what when to the key, how far an order was found, and what fits nowhere behind it. */
export function drawIllegal(found: IllegalKey): string {
  const places = new Map(found.longest.map((index, place) => [found.calls[index], place + 1]));
  const stuck = new Set(stuckCalls(found));
  const drawn = choose(found, stuck);
  const { boxes, columns, rows } = layOut(drawn, places, stuck);
  const height = rows.length * rowPx + 20;
  const width = labelPx + columns * columnPx + 20;
  const last = found.longest.slice(-8).map((index) => found.calls[index] as Call);
  const firstStuck = boxes.reduce<Box | undefined>(
    (first, box) => (box.isStuck && box.from < (first?.from ?? columns) ? box : first),
    undefined,
  );
  const svg = [
    ...rows.map((name, row) => drawRow(name, row, width, rows[row - 1] === name)),
    ...boxes.map((box) => drawBox(box, columns, box === firstStuck)),
  ];
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escape(found.key)} is not linearizable</title><style>${style}</style></head><body>
<h1>Key <code>${escape(found.key)}</code> is not linearizable</h1>
<p>The longest order that agrees with real time and with every answer has ${found.longest.length} of ${found.calls.length} operations; ${drawn.length} are drawn.
Each box reaches from the call to its answer; time runs to the right, not to scale. Hover for everything that is known of one.
A value is a write; → a read; = and ≠ say whether the condition of a write held; dashed boxes have no answer. <a href="#stuck">To where it ends</a></p>
<p class="legend"><span class="placed">in the order, with its place</span> <span class="stuck">answered, and fits nowhere behind it</span>
<span class="open">outcome unknown: may happen at any time after its call, or never</span></p>
<div class="scroll"><svg width="${width}" height="${height}" role="img" aria-label="operations over time">${svg.join("\n")}</svg></div>
<h2>The order ends with</h2><ol start="${found.longest.length - last.length + 1}">${last.map(item).join("")}</ol>
<h2>After which none of these can come first</h2><ul>${[...stuck].slice(0, 12).map(item).join("")}</ul>
</body></html>
`;
}

/** Those around the end of the order, in the order of their calls. */
function choose({ calls, longest }: IllegalKey, stuck: ReadonlySet<Call>): Call[] {
  const sorted = [...calls].sort((a, b) => a.calledAt - b.calledAt);
  if (sorted.length <= drawnMax) return sorted;
  const first = [...stuck].sort((a, b) => a.calledAt - b.calledAt)[0] ?? (calls[longest.at(-1) ?? 0] as Call);
  const from = Math.max(0, Math.min(sorted.indexOf(first) - Math.floor((2 * drawnMax) / 3), sorted.length - drawnMax));
  return sorted.slice(from, from + drawnMax);
}

function layOut(
  drawn: readonly Call[],
  places: ReadonlyMap<Call | undefined, number>,
  stuck: ReadonlySet<Call>,
): { readonly boxes: readonly Box[]; readonly columns: number; readonly rows: readonly string[] } {
  const events = drawn.flatMap(({ calledAt, returnedAt }) => (Number.isFinite(returnedAt) ? [calledAt, returnedAt] : [calledAt]));
  const column = new Map([...new Set(events)].sort((a, b) => a - b).map((position, at) => [position, at]));
  const columns = column.size + 1;
  const rows: string[] = [];
  const boxes: Box[] = [];
  for (const client of [...new Set(drawn.map((call) => call.client))].sort((a, b) => (a < b ? -1 : 1))) {
    // What one client does at the same time goes below each other.
    const ends: number[] = [];
    const top = rows.length;
    for (const call of drawn) {
      if (call.client !== client) continue;
      const from = column.get(call.calledAt) ?? 0;
      const to = column.get(call.returnedAt) ?? columns;
      const free = ends.findIndex((end) => end < from);
      const lane = free < 0 ? ends.length : free;
      ends[lane] = to;
      boxes.push({ call, from, to, row: top + lane, place: places.get(call), isStuck: stuck.has(call) });
    }
    for (const _ of ends) rows.push(client);
  }
  return { boxes, columns, rows };
}

function drawRow(name: string, row: number, width: number, isSame: boolean): string {
  const y = row * rowPx + 10;
  const line = `<line x1="0" x2="${width}" y1="${y}" y2="${y}" class="${isSame ? "lane" : "client"}"/>`;
  return isSame ? line : `${line}<text x="4" y="${y + 21}" class="name">${escape(name)}</text>`;
}

function drawBox({ call, from, isStuck, place, row, to }: Box, columns: number, isTarget: boolean): string {
  const x = labelPx + from * columnPx + 4;
  const y = row * rowPx + 14;
  const isOpen = !Number.isFinite(call.returnedAt);
  const width = (isOpen ? columns - from : to - from) * columnPx - 8;
  const kind = isStuck ? "stuck" : place === undefined ? "open" : "placed";
  const text = `${place === undefined ? "" : `${place}. `}${short(call)}`;
  const letters = Math.max(4, Math.floor((width - 8) / 6.3));
  return `<g${isTarget ? ' id="stuck"' : ""} class="${kind}${isOpen ? " endless" : ""}"><title>${escape(describeCall(call))}</title><rect x="${x}" y="${y}" width="${width}" height="${rowPx - 8}" rx="4"/><text x="${x + 5}" y="${y + 17}">${escape(text.length > letters ? `${text.slice(0, letters - 1)}…` : text)}</text></g>`;
}

/** As short as can be: the key is the page's title, and revisions stand in the text that hovers. */
function short(call: Call): string {
  const { operation, result } = call;
  const failed = call.outcome === "unknown" ? "?" : "";
  switch (operation.kind) {
    case "get":
      return `→ ${result?.kind === "entry" ? (result.entry?.value ?? "nothing") : call.outcome}`;
    case "put":
    case "delete": {
      const write = operation.kind === "put" ? operation.value : "delete";
      const condition = operation.ifRevision === undefined ? "" : result?.kind === "conflict" ? " ≠" : " =";
      return `${write}${condition}${failed}`;
    }
    case "append":
      return `+${operation.item}${failed}`;
    default:
      return `${describeOperation(operation)} → ${describeOutcome(call)}`;
  }
}

function item(call: Call): string {
  return `<li><code>${escape(describeCall(call))}</code></li>`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

const style = `
:root { color-scheme: light dark; --ink: #1a1f24; --paper: #fff; --line: #c9d1d9; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --paper: #0f141a; --line: #3a434d; } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 1.6rem; } p { max-width: 70rem; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
text { font: 11px ui-monospace, monospace; fill: #10151a; } .name { font: 600 13px system-ui, sans-serif; fill: var(--ink); }
line.client { stroke: var(--line); } line.lane { stroke: none; }
.placed rect { fill: #bfe5c8; stroke: #2c8a4a; } .stuck rect { fill: #ffb9ae; stroke: #c22b17; stroke-width: 2; }
.open rect { fill: #dfe3e8; stroke: #6b7683; } .endless rect { stroke-dasharray: 5 4; }
.legend span { padding: .15rem .5rem; border-radius: 4px; color: #10151a; margin-right: .5rem; }
span.placed { background: #bfe5c8; } span.stuck { background: #ffb9ae; } span.open { background: #dfe3e8; }
code { font: 12px ui-monospace, monospace; } li { margin: .15rem 0; }
`;
