import type { OrderedMap, MapCursor, Reader, Writer } from "../../base/index.ts";
import { Section, type SectionSource } from "../snapshot.ts";
import type { Lease, LeaseState } from "./state.ts";

/** Which keys hang on a lease is not written: the entries say it. */
export class LeaseSource implements SectionSource {
  readonly section: number = Section.leases;
  private readonly cursor: MapCursor<Lease>;

  constructor(leases: OrderedMap<Lease>) {
    this.cursor = leases.clone().cursor("");
  }

  fill(writer: Writer, bytes: number): boolean {
    const { cursor } = this;
    const start = writer.length;
    for (; cursor.value !== undefined && writer.length - start < bytes; cursor.next()) {
      const { low, high, ttlMs, remainingMs } = cursor.value;
      writer.u32(low).u32(high).u64(ttlMs).u64(remainingMs);
    }
    return writer.length > start;
  }
}

export function restoreLeases(state: LeaseState, reader: Reader): void {
  while (reader.remaining > 0) state.grant(reader.u32(), reader.u32(), reader.u64(), reader.u64());
}
