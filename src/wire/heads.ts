import type { GroupId } from "../base/index.ts";
import { putU32 } from "./numbers.ts";
import { answerHeaderBytes, fillRequestHeader, idFrameBytes, requestHeaderBytes } from "./session.ts";
import { FrameType } from "./types.ts";
import type { Method, Priority } from "./types.ts";

/**
 * What stands before a body, for `Carrier.send(head, body)`: the body is then copied once, into the carrier's own
 * buffer, and nothing is allocated for the frame. Each head is valid until the next one of its kind.
 */
export class FrameHeads {
  private readonly requestHead = new Uint8Array(requestHeaderBytes);
  private readonly okHead = new Uint8Array(answerHeaderBytes);
  private readonly itemHead = new Uint8Array(idFrameBytes);

  constructor() {
    this.okHead[0] = FrameType.response;
    this.itemHead[0] = FrameType.item;
  }

  /** Of a request without trace and principal, as a handle sends it. */
  request(id: number, method: Method, group: GroupId, priority: Priority, stale: boolean, remainingMs: number): Uint8Array {
    fillRequestHeader(this.requestHead, id, method, group, priority, stale, remainingMs);
    return this.requestHead;
  }

  /** Of a good answer. */
  ok(id: number): Uint8Array {
    putU32(this.okHead, 1, id);
    return this.okHead;
  }

  item(id: number): Uint8Array {
    putU32(this.itemHead, 1, id);
    return this.itemHead;
  }
}
