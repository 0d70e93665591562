import { createInterface } from "node:readline";
import type { Interface } from "node:readline";
import type { ReadStream, WriteStream } from "node:tty";
import type { Input, Output } from "../../ports/index.ts";

/** Standard output or standard error of this process. */
export function nodeOutput(which: "stdout" | "stderr"): Output {
  const stream: WriteStream = process[which];
  return {
    get terminal(): boolean {
      return stream.isTTY === true;
    },
    get columns(): number {
      return stream.columns || 80;
    },
    get rows(): number {
      return stream.rows || 24;
    },
    write(data: string | Uint8Array): void {
      stream.write(data);
    },
    drained: () =>
      new Promise((resolve) => {
        if (stream.destroyed || !stream.writable) resolve();
        else stream.write("", () => resolve());
      }),
    onResize(callback: () => void): () => void {
      stream.on("resize", callback);
      return () => stream.off("resize", callback);
    },
  };
}

/** Standard input of this process. It keeps the process alive only while somebody reads it. */
export function nodeInput(): Input {
  const stream: ReadStream = process.stdin;
  const lines = new LineReader(stream);
  return {
    get terminal(): boolean {
      return stream.isTTY === true;
    },
    async readAll(): Promise<Uint8Array> {
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream) chunks.push(chunk as Uint8Array);
      return Buffer.concat(chunks);
    },
    readLine: () => lines.next(),
    onKey(callback: (key: string) => void): () => void {
      if (stream.isTTY !== true) return () => undefined;
      const onData = (chunk: Buffer): void => {
        for (const key of splitKeys(chunk.toString("utf8"))) callback(key);
      };
      stream.setRawMode(true);
      stream.on("data", onData);
      stream.resume();
      return () => {
        stream.off("data", onData);
        stream.setRawMode(false);
        stream.pause();
      };
    },
    onEnd(callback: () => void): void {
      stream.once("close", callback);
      stream.once("error", () => stream.destroy());
      stream.once("end", () => stream.destroy());
      stream.resume();
    },
  };
}

/** Characters one by one; an escape sequence (an arrow key, say) stays whole. */
function splitKeys(text: string): string[] {
  return text.startsWith("\u001b") && text.length > 1 ? [text] : [...text];
}

class LineReader {
  private readonly stream: ReadStream;
  private interface: Interface | undefined;
  private readonly waiting: ((line: string | undefined) => void)[] = [];
  private readonly lines: string[] = [];
  private ended = false;

  constructor(stream: ReadStream) {
    this.stream = stream;
  }

  next(): Promise<string | undefined> {
    this.open();
    const line = this.lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    if (this.ended) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      this.waiting.push(resolve);
      this.interface?.resume();
    });
  }

  private open(): void {
    if (this.interface !== undefined || this.ended) return;
    this.interface = createInterface({ input: this.stream });
    this.interface.on("line", (line) => {
      const resolve = this.waiting.shift();
      if (resolve === undefined) this.lines.push(line);
      else resolve(line);
      if (this.waiting.length === 0) this.interface?.pause();
    });
    this.interface.on("close", () => {
      this.ended = true;
      for (const resolve of this.waiting.splice(0)) resolve(undefined);
    });
  }
}
