import { groupId } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";

/** Names of files. Numbers are 16 hex digits, so that the order of names is the order of numbers. */
export const walDirectory = "wal";
export const groupDirectory = "groups";

function hex(value: number): string {
  return value.toString(16).padStart(16, "0");
}

export function segmentName(segment: number): string {
  return `${hex(segment)}.wal`;
}

export function segmentOf(name: string): number | undefined {
  const match = /^([0-9a-f]{16})\.wal$/.exec(name);
  return match === null ? undefined : Number.parseInt(match[1] as string, 16);
}

export type GroupFileKind = "log" | "snapshot" | "received";

export interface GroupFileName {
  readonly group: GroupId;
  readonly incarnation: number;
  readonly kind: GroupFileKind;
  /** The first and last index of a log; index and term of a snapshot. */
  readonly a: number;
  readonly b: number;
  /** Not finished: of use only to go on with a snapshot that is being received. */
  readonly part: boolean;
}

export function groupFileName(name: Omit<GroupFileName, "part">): string {
  return `${name.group}.${name.incarnation}.${name.kind}.${hex(name.a)}-${hex(name.b)}`;
}

export function parseGroupFileName(name: string): GroupFileName | undefined {
  const match = /^(\d+)\.(\d+)\.(log|snapshot|received)\.([0-9a-f]{16})-([0-9a-f]{16})(\.part)?$/.exec(name);
  if (match === null) return undefined;
  return {
    group: groupId(Number(match[1])),
    incarnation: Number(match[2]),
    kind: match[3] as GroupFileKind,
    a: Number.parseInt(match[4] as string, 16),
    b: Number.parseInt(match[5] as string, 16),
    part: match[6] !== undefined,
  };
}
