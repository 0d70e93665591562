import type { Output } from "../../ports/index.ts";

const hideCursor = "\u001b[?25l";
const showCursor = "\u001b[?25h";
const clearBelow = "\u001b[J";
const clearLine = "\u001b[K";

/**
 * A block of lines that is redrawn in place, below whatever the terminal showed before. The lines
 * must not be wider than the terminal. A change of size may have wrapped what was drawn, so the
 * next draw then begins on a cleared screen.
 */
export class Screen {
  private readonly output: Output;
  private drawn = 0;
  private resized = false;
  private open = false;

  constructor(output: Output) {
    this.output = output;
  }

  resize(): void {
    this.resized = true;
  }

  draw(lines: readonly string[]): void {
    let text = this.open ? "" : hideCursor;
    this.open = true;
    if (this.resized) text += "\u001b[2J\u001b[H";
    else if (this.drawn > 0) text += `\u001b[${this.drawn}A\r`;
    this.resized = false;
    for (const line of lines) text += `${line}${clearLine}\n`;
    this.output.write(text + clearBelow);
    this.drawn = lines.length;
  }

  /** Leaves the last drawing where it is and the cursor below it, visible. */
  close(): void {
    if (!this.open) return;
    this.open = false;
    this.drawn = 0;
    this.output.write(showCursor);
  }
}
