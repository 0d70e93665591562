import { MalformedBytes } from "../../../base/index.ts";
import { Op, codeOf } from "./codes.ts";
import type { ZooKeeperCode } from "./codes.ts";
import { JuteWriter } from "./jute.ts";
import type { JuteReader } from "./jute.ts";
import { openAcl, readStat, writeCreate, writeSetData, writeVersioned, writeWatched } from "./messages.ts";
import type { Acl, CreateMode, Stat } from "./messages.ts";

/** One operation of a multi. A `version` that is left out is not compared. */
export type MultiOperation =
  | {
      readonly kind: "create";
      readonly path: string;
      readonly data: Uint8Array;
      /** Default: persistent. */
      readonly mode?: CreateMode | undefined;
      /** Default: the session's. */
      readonly acl?: readonly Acl[] | undefined;
    }
  | { readonly kind: "set"; readonly path: string; readonly data: Uint8Array; readonly version?: number | undefined }
  | { readonly kind: "remove"; readonly path: string; readonly version?: number | undefined }
  /** The node exists and, when given, is at this version. */
  | { readonly kind: "check"; readonly path: string; readonly version?: number | undefined };

/** In the order of the operations. */
export type MultiResult =
  /** The new node's version is 0, its zxids are the multi's. */
  | { readonly kind: "create"; readonly path: string }
  | { readonly kind: "set"; readonly stat: Stat }
  | { readonly kind: "remove" }
  | { readonly kind: "check" };

export type MultiReadOperation = { readonly kind: "get"; readonly path: string } | { readonly kind: "children"; readonly path: string };

/** Each is answered for itself: an error of one does not touch the others. */
export type MultiReadResult =
  | { readonly kind: "get"; readonly data: Uint8Array; readonly stat: Stat }
  | { readonly kind: "children"; readonly children: readonly string[] }
  | { readonly kind: "error"; readonly code: ZooKeeperCode };

export const anyVersion = -1;

const head = (writer: JuteWriter, type: number): JuteWriter => writer.int(type).bool(false).int(-1);
const end = (writer: JuteWriter): Uint8Array => writer.int(-1).bool(true).int(-1).take();

/** The paths are those at the servers. */
export function encodeMulti(operations: readonly MultiOperation[], acl: readonly Acl[] = openAcl): Uint8Array {
  const writer = new JuteWriter();
  for (const operation of operations) {
    const { path } = operation;
    switch (operation.kind) {
      case "create":
        writeCreate(head(writer, Op.create), path, operation.data, operation.acl ?? acl, operation.mode ?? "persistent");
        break;
      case "set":
        writeSetData(head(writer, Op.setData), path, operation.data, operation.version ?? anyVersion);
        break;
      case "remove":
        writeVersioned(head(writer, Op.remove), path, operation.version ?? anyVersion);
        break;
      case "check":
        writeVersioned(head(writer, Op.check), path, operation.version ?? anyVersion);
        break;
    }
  }
  return end(writer);
}

export function encodeMultiRead(operations: readonly MultiReadOperation[]): Uint8Array {
  const writer = new JuteWriter();
  for (const { kind, path } of operations) writeWatched(head(writer, kind === "get" ? Op.getData : Op.getChildren), path, false);
  return end(writer);
}

/** One result of either reply; an error as its number. */
type Item = MultiResult | Exclude<MultiReadResult, { readonly kind: "error" }> | { readonly kind: "error"; readonly number: number };

function readItem(reader: JuteReader, type: number): Item {
  switch (type) {
    case Op.create:
      return { kind: "create", path: reader.text() };
    case Op.setData:
      return { kind: "set", stat: readStat(reader) };
    case Op.remove:
      return { kind: "remove" };
    case Op.check:
      return { kind: "check" };
    case Op.getData: {
      const data = reader.buf();
      return { kind: "get", data, stat: readStat(reader) };
    }
    case Op.getChildren:
      return { kind: "children", children: reader.texts() };
    case Op.error:
      return { kind: "error", number: reader.int() };
    default:
      throw new MalformedBytes(`a result of type ${type}`);
  }
}

function readItems(reader: JuteReader, count: number): readonly Item[] {
  const items: Item[] = [];
  for (;;) {
    const type = reader.int();
    const done = reader.bool();
    reader.int();
    if (done) break;
    if (items.length === count) throw new MalformedBytes("more results than operations");
    items.push(readItem(reader, type));
  }
  if (items.length !== count) throw new MalformedBytes(`${items.length} results for ${count} operations`);
  return items;
}

export type MultiReply =
  | { readonly applied: true; readonly results: readonly MultiResult[] }
  /** `failed`: the place of the operation that stood in the way. Nothing was applied. */
  | { readonly applied: false; readonly failed: number; readonly code: ZooKeeperCode };

/**
 * A server answers a refused multi with an error for each operation: 0 for those before the one that failed, its code, and
 * "another one failed" for those behind.
 */
export function readMulti(reader: JuteReader, operations: readonly MultiOperation[]): MultiReply {
  const items = readItems(reader, operations.length);
  const results: MultiResult[] = [];
  const errors: number[] = [];
  items.forEach((item, at) => {
    if (item.kind === "error") errors.push(item.number);
    else if (item.kind === operations[at]?.kind) results.push(item as MultiResult);
    else throw new MalformedBytes(`a result of ${item.kind} for the operation ${operations[at]?.kind}`);
  });
  if (errors.length === 0) return { applied: true, results };
  if (results.length > 0) throw new MalformedBytes("a multi that was applied in part");
  const own = errors.findIndex((number) => number !== 0 && codeOf(number) !== "RUNTIME_INCONSISTENCY");
  const failed = own >= 0 ? own : errors.findIndex((number) => number !== 0);
  if (failed < 0) throw new MalformedBytes("a multi that failed without an error");
  return { applied: false, failed, code: codeOf(errors[failed] ?? 0) };
}

export function readMultiRead(reader: JuteReader, operations: readonly MultiReadOperation[]): readonly MultiReadResult[] {
  return readItems(reader, operations.length).map((item, at) => {
    if (item.kind === "error") return { kind: "error", code: codeOf(item.number) };
    if (item.kind !== operations[at]?.kind) throw new MalformedBytes(`a result of ${item.kind} for the operation ${operations[at]?.kind}`);
    return item as MultiReadResult;
  });
}
