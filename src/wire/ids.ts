import { hexDecode, hexId } from "../base/index.ts";
import type { ClusterId, NodeId, Reader, Writer } from "../base/index.ts";

/** An id's 8 bytes behind a byte that says whether there is one. */
export function writeId(writer: Writer, id: NodeId | ClusterId | undefined): void {
  if (id === undefined) writer.u8(0);
  else writer.u8(1).raw(hexDecode(id));
}

export function readId<T extends NodeId | ClusterId>(reader: Reader): T | undefined {
  return reader.u8() === 0 ? undefined : hexId<T>(reader.raw(8));
}
