import type { SimDisk } from "../sim/disk.ts";
import { checksum } from "./harness.golden.ts";
import { RecordKind, StateReason } from "./format.ts";
import { decodeHardState, decodeReplicaState } from "./codec.ts";
import { segmentName, segmentOf, walDirectory } from "./names.ts";
import { scanSegment } from "./scan.ts";
import type { ScannedRecord } from "./scan.ts";

function describeRecord({ header, intact, payload }: ScannedRecord): string {
  const { kind, detail, group, incarnation, index, term } = header;
  const owner = incarnation === 1 ? `${group}` : `${group}.${incarnation}`;
  const damage = intact ? "" : "!";
  if (kind === RecordKind.entry) return `${damage}entry ${owner} ${index}:${term}`;
  if (kind === RecordKind.truncate) return `${damage}truncate ${owner} ${index}`;
  if (kind === RecordKind.destroy) return `${damage}destroy ${owner}`;
  if (!intact) return `!${kind === RecordKind.state ? "state" : "hardState"} ${owner}`;
  if (kind === RecordKind.hardState) {
    const state = decodeHardState(payload);
    return `hardState ${owner} ${state.term}/${state.vote}/${state.commit}`;
  }
  const state = decodeReplicaState(payload);
  const reason = Object.entries(StateReason).find(([, value]) => value === detail)?.[0] ?? "?";
  const marks = `${state.suspect ? " suspect" : ""}${state.discarded ? " discarded" : ""}`;
  return `${reason} ${owner} ${state.hardState.term}/${state.hardState.vote}/${state.hardState.commit} log ${state.firstIndex}..${state.lastIndex} snapshot ${state.snapshot.index}${marks}`;
}

/** The write-ahead log as recovery would read it, one line per batch. */
export function dumpWal(disk: SimDisk): string {
  const lines: string[] = [];
  for (const { path, size } of disk.files()) {
    const segment = path.startsWith(`${walDirectory}/`) ? segmentOf(path.slice(walDirectory.length + 1)) : undefined;
    if (segment === undefined) continue;
    const scanned = scanSegment(disk.bytesOf(path), segment, segmentName(segment), checksum);
    lines.push(`segment ${segment} of ${size} bytes${scanned.blank ? ", blank" : ""}`);
    for (const batch of scanned.batches) {
      const kind = batch.isHead ? (batch.isCopies ? " head again" : " head") : batch.isCopies ? " copies" : "";
      const damage = batch.intact ? "" : batch.headerIntact ? " DAMAGED" : " DAMAGED HEADER";
      lines.push(
        `  ${batch.sequence} at ${batch.offset} synced ${batch.syncedUpTo}${kind}${damage}: ${batch.records.map(describeRecord).join(", ")}`,
      );
    }
  }
  return lines.join("\n");
}
