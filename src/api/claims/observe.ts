import { isUnumError } from "../../base/index.ts";
import type { KeyValue } from "../../machine/commands/index.ts";
import { bytes } from "../kv/codec.ts";
import { prefixEnd } from "../kv/keys.ts";
import type { Keyspace } from "../kv/keyspace.ts";
import { openWatch } from "../kv/watch.ts";
import type { AbortSignalLike } from "../signal.ts";
import { firstInLine } from "./line.ts";

/**
 * The first `limit` places in line now, and again after every change in it, until the signal aborts. What changes faster than it is read is
 * seen in its last state.
 */
export async function* observeLine(
  space: Keyspace,
  line: string,
  limit: number,
  signal: AbortSignalLike | undefined,
): AsyncIterableIterator<readonly KeyValue[]> {
  const isOver = (): boolean => signal?.aborted === true;
  while (!isOver()) {
    let { entries, revision } = await firstInLine(space, line, limit, { signal });
    yield entries;
    const watch = openWatch(space, { prefix: "", codec: bytes }, () => ({ key: line, end: prefixEnd(line) }), {
      from: revision + 1,
      signal,
    });
    try {
      for await (const change of watch) {
        if (change.revision <= revision) continue;
        ({ entries, revision } = await firstInLine(space, line, limit, { signal }));
        yield entries;
      }
      return;
    } catch (error) {
      if (isOver()) return;
      // Too far behind for what is kept: look anew.
      if (!isUnumError(error, "COMPACTED")) throw error;
    } finally {
      await watch.close();
    }
  }
}
