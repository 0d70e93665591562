import type { Clock, Output, Timer } from "../ports/index.ts";

export type Colour = "green" | "red" | "yellow" | "dim" | "bold";
export type Paint = (colour: Colour, text: string) => string;

const codes: Readonly<Record<Colour, string>> = { green: "32", red: "31", yellow: "33", dim: "2", bold: "1" };

export const plainPaint: Paint = (_colour, text) => text;
export const colourPaint: Paint = (colour, text) => (text === "" ? "" : `\u001b[${codes[colour]}m${text}\u001b[0m`);

/** Whether an output may move the cursor and use colours. */
export function isLively(output: Output, environment: Readonly<Record<string, string | undefined>>): boolean {
  const noColour = environment["NO_COLOR"];
  return output.terminal && (noColour === undefined || noColour === "") && environment["TERM"] !== "dumb";
}

export interface Column {
  readonly title: string;
  readonly align: "left" | "right";
}

/** A table's cell: its text, painted after its width was measured. */
export interface Cell {
  readonly text: string;
  readonly colour?: Colour | undefined;
}

/** Two spaces between columns; each as wide as its widest cell. Lines have no spaces at their end. */
export function renderTable(columns: readonly Column[], rows: readonly (readonly Cell[])[], paint: Paint = plainPaint): string[] {
  const widths = columns.map((column, at) => Math.max(column.title.length, ...rows.map((cells) => displayWidth(cells[at]?.text ?? ""))));
  const line = (cells: readonly Cell[]): string =>
    columns
      .map((column, at) => {
        const cell = cells[at] ?? { text: "" };
        const padding = " ".repeat(Math.max(0, (widths[at] ?? 0) - displayWidth(cell.text)));
        const text = cell.colour === undefined ? cell.text : paint(cell.colour, cell.text);
        return column.align === "left" ? text + padding : padding + text;
      })
      .join("  ")
      .trimEnd();
  return [line(columns.map((column) => ({ text: column.title }))), ...rows.map(line)];
}

/** Columns that a text takes in a terminal, near enough: one per code point. */
function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) if (character !== "\u0000") width++;
  return width;
}

/** Cuts to a width that counts no colour codes, so that a terminal never wraps the line. */
export function fitWidth(line: string, width: number): string {
  let result = "";
  let used = 0;
  let painted = false;
  for (const part of line.matchAll(/\u001b\[[0-9;]*m|[\s\S]/gu)) {
    const piece = part[0];
    if (piece.startsWith("\u001b")) {
      painted = !piece.endsWith("[0m");
      result += piece;
    } else if (used < width) {
      result += piece;
      used++;
    }
  }
  return painted ? `${result}\u001b[0m` : result;
}

/** "412,337" */
export function formatCount(value: number): string {
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "61 MB", with 10^6 bytes to the megabyte. */
export function formatBytes(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`;
  if (bytes >= 1e6) return `${Math.round(bytes / 1e6)} MB`;
  if (bytes >= 1e3) return `${Math.round(bytes / 1e3)} kB`;
  return `${bytes} B`;
}

/** "0.75 ms", "118 ms", "0.9 s", "4 s", "12 min". */
export function formatMs(ms: number): string {
  if (ms >= 120_000) return `${Math.round(ms / 60_000)} min`;
  if (ms >= 9_950) return `${Math.round(ms / 1000)} s`;
  if (ms >= 1000) return `${Number((ms / 1000).toFixed(1))} s`;
  if (ms >= 10) return `${Math.round(ms)} ms`;
  return `${Number(ms.toFixed(2))} ms`;
}

/** "12:03:11", in the zone of this machine. */
export function formatTime(wallMs: number): string {
  return new Date(wallMs).toTimeString().slice(0, 8);
}

/** `count` and the noun, with an s where one is due. */
export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * Says that a long operation still goes on: nothing for the first second, then one line that is
 * rewritten on a lively terminal, or a plain line every five seconds.
 */
export class Progress {
  private readonly output: Output;
  private readonly clock: Clock;
  private readonly lively: boolean;
  private readonly startedMs: number;
  private text: string;
  private timer: Timer | undefined;
  private shown = false;
  private paused = false;

  constructor(output: Output, clock: Clock, lively: boolean, text: string) {
    this.output = output;
    this.clock = clock;
    this.lively = lively;
    this.text = text;
    this.startedMs = clock.now();
    this.arm(1000);
  }

  update(text: string): void {
    this.text = text;
  }

  /** While a question waits for its answer. */
  pause(): void {
    this.erase();
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
  }

  /** Erases the line. */
  done(): void {
    this.timer?.cancel();
    this.timer = undefined;
    this.erase();
  }

  private arm(delayMs: number): void {
    this.timer = this.clock.after(delayMs, () => {
      if (!this.paused) this.show();
      this.arm(this.lively ? 200 : 5000);
    });
  }

  private show(): void {
    const line = `${this.text} … ${formatMs(Math.round((this.clock.now() - this.startedMs) / 100) * 100)}`;
    if (this.lively) this.output.write(`\r\u001b[K${fitWidth(line, this.output.columns - 1)}`);
    else this.output.write(`${line}\n`);
    this.shown = true;
  }

  private erase(): void {
    if (this.shown && this.lively) this.output.write("\r\u001b[K");
    this.shown = false;
  }
}
