import { fitWidth, formatBytes, formatMs, renderTable } from "../output.ts";
import type { Cell, Column, Paint } from "../output.ts";

/** A node as `unum dev` shows it. Undefined: not known now. */
export interface NodeView {
  readonly name: string;
  readonly address: string;
  readonly zone: string;
  /** "leader", "follower", "learner", "starting", "silent" … */
  readonly role: string;
  readonly colour: "green" | "red" | "yellow" | undefined;
  /** How long it has been down or paused; shown behind the role. */
  readonly forMs: number | undefined;
  readonly term: number | undefined;
  readonly commit: number | undefined;
  readonly applied: number | undefined;
  readonly opsPerSecond: number | undefined;
  readonly memoryBytes: number | undefined;
}

export interface DevEvent {
  /** "12:03:11" */
  readonly time: string;
  readonly text: string;
}

export interface DevView {
  readonly header: string;
  readonly nodes: readonly NodeView[];
  readonly events: readonly DevEvent[];
  /** Whether keys are read at all. */
  readonly keys: boolean;
  readonly paused: boolean;
}

const columns: readonly Column[] = [
  { title: "node", align: "left" },
  { title: "address", align: "left" },
  { title: "zone", align: "left" },
  { title: "role", align: "left" },
  { title: "term", align: "right" },
  { title: "commit", align: "right" },
  { title: "applied", align: "right" },
  { title: "ops/s", align: "right" },
  { title: "memory", align: "right" },
];

/** Header, a line of titles, a line per node; two spaces before each. */
export function tableLines(nodes: readonly NodeView[], paint: Paint): string[] {
  return renderTable(columns, nodes.map(nodeRow), paint).map((line) => `  ${line}`);
}

function nodeRow(node: NodeView): Cell[] {
  const number = (value: number | undefined): Cell => ({ text: value === undefined ? "-" : String(Math.round(value)) });
  const role = node.forMs === undefined ? node.role : `${node.role} ${formatMs(Math.floor(node.forMs / 1000) * 1000)}`;
  return [
    { text: node.name },
    { text: node.address },
    { text: node.zone },
    { text: role, colour: node.colour },
    number(node.term),
    number(node.commit),
    number(node.applied),
    number(node.opsPerSecond),
    { text: node.memoryBytes === undefined ? "-" : formatBytes(node.memoryBytes) },
  ];
}

export function eventLine(event: DevEvent): string {
  return `  ${event.time}  ${event.text}`;
}

export function hintLines(view: Pick<DevView, "keys" | "paused" | "nodes">): string[] {
  const lines = ["  another terminal:  npx unum kv put greeting hello   ·   npx unum status"];
  const nodes = view.nodes.length === 1 ? "1" : `1-${Math.min(9, view.nodes.length)}`;
  lines.push(
    view.keys
      ? `  k kill the leader   ${nodes} kill or restart a node   p ${view.paused ? "continue" : "pause"}   b bench   q quit`
      : "  Ctrl-C stops the nodes; their data is kept",
  );
  return lines;
}

/** Every line that a terminal of this size shows: none is wider, and they are fewer than its rows. */
export function devLines(view: DevView, width: number, rows: number, paint: Paint): string[] {
  const top = [paint("bold", view.header), ...tableLines(view.nodes, paint)];
  const bottom = hintLines(view)
    .flatMap((line) => wrapHints(line, width))
    .map((line) => paint("dim", line));
  const room = Math.max(0, rows - 1 - top.length - bottom.length);
  const events = room === 0 ? [] : view.events.slice(-Math.min(room, eventsShown)).map(eventLine);
  return [...top, ...events, ...bottom].slice(0, Math.max(1, rows - 1)).map((line) => fitWidth(line, width));
}

/** Breaks between hints, which three spaces separate, so that a narrow terminal still shows every key. */
function wrapHints(line: string, width: number): string[] {
  const lines: string[] = [];
  for (const hint of line.trim().split(/ {3}(?:· {3})?/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 3 + hint.length <= width) lines[lines.length - 1] = `${last}   ${hint}`;
    else lines.push(`  ${hint}`);
  }
  return line.length <= width ? [line] : lines;
}

const eventsShown = 8;
