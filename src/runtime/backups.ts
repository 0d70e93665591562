import { UnumError, Writer, concatBytes, limits, systemGroup, utf8Encode } from "../base/index.ts";
import type { GroupId } from "../base/index.ts";
import { decodeReply, queryBytes } from "../machine/index.ts";
import type { SnapshotSource } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
import { Method, decodeBackupRequest, toWireError } from "../wire/index.ts";
import { backupMagic, backupVersion } from "./backup-file.ts";
import type { BackupManifest } from "./backup-file.ts";
import type { Call, ServerStream } from "./connection.ts";
import type { UnumNode } from "./node.ts";

const chunkBytes = 256 * 1024;

/**
 * A backup is a sequence of records, [length u32][crc u32][bytes]: the manifest, then for each
 * keyspace the chunks of its snapshot and an empty record. Each keyspace is consistent in itself;
 * different keyspaces are as of slightly different moments.
 */
export class Backups {
  private readonly node: UnumNode;

  constructor(node: UnumNode) {
    this.node = node;
  }

  handle(call: Call): void {
    const { keyspaces } = decodeBackupRequest(call.request.body);
    const state = this.node.directory?.state;
    if (state === undefined) throw new UnumError("UNAVAILABLE", "This node is no member of a cluster yet.");
    const names = keyspaces ?? [...state.keyspaces.keys()];
    const sources: { name: string; group: GroupId }[] = [];
    for (const name of names) {
      const group = state.keyspaces.get(name);
      if (group === undefined) throw new UnumError("NOT_FOUND", `There is no keyspace "${name}".`);
      if (this.node.groups.get(group) === undefined)
        throw new UnumError("UNSUPPORTED", `This node holds no copy of keyspace "${name}"; ask one that does.`);
      sources.push({ name, group });
    }
    const stream = new BackupStream(this.node, call);
    call.connection.stream(call, stream);
    void stream.run(sources);
  }
}

class BackupStream implements ServerStream {
  private readonly node: UnumNode;
  private readonly call: Call;
  private creditBytes: number = limits.streamCreditBytes;
  private wake: (() => void) | undefined;
  private cancelled = false;

  constructor(node: UnumNode, call: Call) {
    this.node = node;
    this.call = call;
  }

  credit(bytes: number): void {
    this.creditBytes += bytes;
    this.wake?.();
  }

  cancel(): void {
    this.cancelled = true;
    this.wake?.();
  }

  async run(sources: readonly { readonly name: string; readonly group: GroupId }[]): Promise<void> {
    const { connection, request } = this.call;
    const open: { name: string; revision: number; source: SnapshotSource }[] = [];
    try {
      for (const { name, group } of sources) {
        const replica = await this.current(group);
        open.push({ name, revision: replica.machine.revision, source: replica.machine.snapshot() });
      }
      const manifest: BackupManifest = {
        magic: backupMagic,
        version: backupVersion,
        cluster: this.node.identity.value.cluster ?? "",
        keyspaces: open.map(({ name, revision }) => ({ name, revision })),
      };
      await this.record(utf8Encode(JSON.stringify(manifest)));
      for (const { source } of open) {
        for (let chunk = source.next(chunkBytes); chunk !== undefined && !this.cancelled; chunk = source.next(chunkBytes))
          if (chunk.length > 0) await this.record(chunk);
        await this.record(new Uint8Array(0));
      }
      connection.end(request.id, { ok: true, body: new Uint8Array(0) });
    } catch (error) {
      connection.end(request.id, { ok: false, error: toWireError(error) });
    } finally {
      for (const { source } of open) source.release();
    }
  }

  /** This node's replica, once it has everything that was acknowledged before the backup began. */
  private async current(group: GroupId): Promise<Replica> {
    const { clock } = this.node.platform;
    const replica = this.node.groups.get(group);
    if (replica === undefined) throw new UnumError("UNAVAILABLE", "The group has moved away from this node.");
    if (replica.isLeader) {
      await new Promise<void>((resolve, reject) => replica.read({ run: resolve, fail: reject }));
      return replica;
    }
    const leader = this.node.leaders.get(group);
    if (leader === undefined || group === systemGroup) throw new UnumError("NO_LEADER");
    const body = concatBytes([new Writer(8).u64(0).take(), queryBytes({ kind: "summary" })]);
    const reply = decodeReply(await this.node.router.ask(leader, { method: Method.query, group, body }, 5_000));
    const deadline = clock.now() + 10_000;
    while (replica.machine.revision < reply.revision) {
      if (clock.now() > deadline)
        throw new UnumError("TIMEOUT", "This node did not catch up with the leader in time.", { outcome: "not-applied" });
      await new Promise<void>((resolve) => void clock.after(10, resolve));
    }
    return replica;
  }

  private async record(bytes: Uint8Array): Promise<void> {
    const header = new Writer(8).u32(bytes.length).u32(this.node.platform.checksum.crc32(bytes)).take();
    const item = concatBytes([header, bytes]);
    while (this.creditBytes <= 0 && !this.cancelled) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
    if (this.cancelled) throw new UnumError("CLOSED", "The backup was cancelled.");
    this.creditBytes -= item.length;
    this.call.connection.item(this.call.request.id, item);
  }
}
