import { assert } from "./assert.ts";

/**
 * Identities. A branded type costs nothing at run time and keeps a replica id from being passed
 * where a node id is meant.
 *
 * 64-bit ids are never JavaScript numbers: node and cluster ids are 16 lower-case hex digits,
 * lease and session ids are `bigint` inside the engine (decimal strings in the public API).
 */
declare const brand: unique symbol;
type Branded<T, B extends string> = T & { readonly [brand]: B };

/** One running member, forever: 16 hex digits, drawn at random when its data directory is made. */
export type NodeId = Branded<string, "NodeId">;
/** All nodes with one cluster id form one cluster. 16 hex digits. */
export type ClusterId = Branded<string, "ClusterId">;
/** One Raft group: 0 is the system group, 1 the default keyspace; others are counted up, never reused. */
export type GroupId = Branded<number, "GroupId">;
/** One copy of a group on one node, counted up per group from 1 and never reused; 0 means none. */
export type ReplicaId = Branded<number, "ReplicaId">;

export const systemGroup: GroupId = 0 as GroupId;
export const defaultGroup: GroupId = 1 as GroupId;
/** The keyspace of `defaultGroup`. */
export const defaultKeyspaceName = "default";
export const noReplica: ReplicaId = 0 as ReplicaId;

const hex16 = /^[0-9a-f]{16}$/;

export function isNodeId(text: string): text is NodeId {
  return hex16.test(text);
}

export function groupId(value: number): GroupId {
  return value as GroupId;
}

export function replicaId(value: number): ReplicaId {
  return value as ReplicaId;
}

/** The id in the first 8 of `bytes`, big-endian as hex reads. */
export function hexId<T extends NodeId | ClusterId>(bytes: Uint8Array): T {
  assert(bytes.length >= 8, "an id has eight bytes");
  let text = "";
  for (let i = 0; i < 8; i++) text += (bytes[i] ?? 0).toString(16).padStart(2, "0");
  return text as T;
}
