import { concatBytes } from "../../base/index.ts";
import { ConnectionFailure, ErrorCode, frameHeaderBytes } from "./frames.ts";

/** A head that goes on in CONTINUATION frames: nothing else may come between them. */
export class HeadParts {
  readonly id: number;
  /** The request ends with it. */
  readonly end: boolean;
  private readonly parts: Uint8Array[];
  private bytes: number;

  constructor(id: number, end: boolean, block: Uint8Array) {
    this.id = id;
    this.end = end;
    this.parts = [block.slice()];
    this.bytes = block.length;
  }

  /** Throws when it grows without end: a part that says nothing counts with its frame. */
  add(id: number, part: Uint8Array, bytesMax: number): void {
    if (this.id !== id) throw new ConnectionFailure(ErrorCode.protocol, "another head is continued");
    this.bytes += part.length + frameHeaderBytes;
    if (this.bytes > bytesMax) throw new ConnectionFailure(ErrorCode.calm, "a head without end");
    this.parts.push(part.slice());
  }

  whole(): Uint8Array {
    return concatBytes(this.parts);
  }
}
