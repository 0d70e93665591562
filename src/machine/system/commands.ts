import { MalformedBytes, Writer, limits, unreachable } from "../../base/index.ts";
import type { ClusterId, GroupId, NodeId, Reader, ReplicaId } from "../../base/index.ts";
import { Kind, encodeEnvelope } from "../commands/index.ts";
import type { Envelope } from "../commands/index.ts";
import { UpgradeRequired } from "../types.ts";
import type { SystemCommand, SystemNode } from "./types.ts";

/** Kinds of the system machine, from `Kind.systemFirst` on. A number never changes its meaning. */
export const SystemKind = {
  bootstrap: Kind.systemFirst,
  registerNode: Kind.systemFirst + 1,
  updateNode: Kind.systemFirst + 2,
  removeNode: Kind.systemFirst + 3,
  createKeyspace: Kind.systemFirst + 4,
  setReplicas: Kind.systemFirst + 5,
  leaveNode: Kind.systemFirst + 6,
  releaseReplica: Kind.systemFirst + 7,
} as const;

/** The bytes of one command, the caller's own. */
export function systemCommandBytes(envelope: Envelope, command: SystemCommand): Uint8Array {
  const writer = new Writer(256);
  encodeEnvelope(writer, envelope);
  writeCommand(writer, command);
  return writer.take();
}

function writeCommand(writer: Writer, command: SystemCommand): void {
  switch (command.kind) {
    case "bootstrap":
      writer.u8(SystemKind.bootstrap).text(command.cluster);
      writeList(writer, command.initialVoters, (id) => writer.u32(id));
      writeList(writer, command.nodes, (node) => {
        writeNode(writer, node);
        writer.u32(node.replica);
      });
      return;
    case "register-node":
      writer.u8(SystemKind.registerNode);
      return writeNode(writer, command);
    case "update-node":
      writer.u8(SystemKind.updateNode);
      return writeNode(writer, command);
    case "remove-node":
      writer.u8(SystemKind.removeNode).text(command.node);
      return;
    case "create-keyspace":
      writer.u8(SystemKind.createKeyspace).text(command.name).u32(command.wanted);
      return writeList(writer, command.nodes, (node) => writer.text(node));
    case "set-replicas":
      writer.u8(SystemKind.setReplicas).u32(command.group).u64(command.version);
      return writeList(writer, command.nodes, (node) => writer.text(node));
    case "leave-node":
      writer.u8(SystemKind.leaveNode).text(command.node);
      return;
    case "release-replica":
      writer.u8(SystemKind.releaseReplica).u32(command.group).u32(command.replica);
      return;
    default:
      return unreachable(command);
  }
}

export function writeList<T>(writer: Writer, items: Iterable<T>, write: (item: T) => unknown): void {
  const all = [...items];
  writer.u32(all.length);
  for (const item of all) write(item);
}

export function readList<T>(reader: Reader, read: () => T): T[] {
  const count = reader.u32();
  if (count > Math.max(limits.membersMax, limits.groupsMax) * 16 || count > reader.remaining)
    throw new MalformedBytes(`a list of ${count}`);
  const items: T[] = [];
  for (let i = 0; i < count; i++) items.push(read());
  return items;
}

export function writeNode(writer: Writer, node: SystemNode): void {
  writer.text(node.node).text(node.name).text(node.address).text(node.zone).text(node.incarnation);
  writer.u8(node.ephemeral ? 1 : 0).u32(node.featureLevel);
}

export function readNode(reader: Reader): SystemNode {
  return {
    node: reader.text() as NodeId,
    name: reader.text(),
    address: reader.text(),
    zone: reader.text(),
    incarnation: reader.text(),
    ephemeral: reader.u8() !== 0,
    featureLevel: reader.u32(),
  };
}

/** The command behind its kind. Throws `MalformedBytes`, or `UpgradeRequired` for a newer build's. */
export function decodeSystemCommand(reader: Reader): SystemCommand {
  const command = readCommand(reader, reader.u8());
  reader.finish();
  return command;
}

function readCommand(reader: Reader, kind: number): SystemCommand {
  switch (kind) {
    case SystemKind.bootstrap:
      return {
        kind: "bootstrap",
        cluster: reader.text() as ClusterId,
        initialVoters: readList(reader, () => reader.u32() as ReplicaId),
        nodes: readList(reader, () => ({ ...readNode(reader), replica: reader.u32() as ReplicaId })),
      };
    case SystemKind.registerNode:
      return { kind: "register-node", ...readNode(reader) };
    case SystemKind.updateNode:
      return { kind: "update-node", ...readNode(reader) };
    case SystemKind.removeNode:
      return { kind: "remove-node", node: reader.text() as NodeId };
    case SystemKind.createKeyspace:
      return { kind: "create-keyspace", name: reader.text(), wanted: reader.u32(), nodes: readList(reader, () => reader.text() as NodeId) };
    case SystemKind.setReplicas:
      return {
        kind: "set-replicas",
        group: reader.u32() as GroupId,
        version: reader.u64(),
        nodes: readList(reader, () => reader.text() as NodeId),
      };
    case SystemKind.leaveNode:
      return { kind: "leave-node", node: reader.text() as NodeId };
    case SystemKind.releaseReplica:
      return { kind: "release-replica", group: reader.u32() as GroupId, replica: reader.u32() as ReplicaId };
    default:
      throw new UpgradeRequired(`system command ${kind}`);
  }
}
