import { UnumError, Writer, concatBytes, limits, systemGroup, utf8Encode } from "../base/index.ts";
import type { GroupId, NodeId } from "../base/index.ts";
import { decodeReply, queryBytes } from "../machine/index.ts";
import type { Replica } from "../replica/index.ts";
import { Method, decodeBackupRequest, encodeBackupRequest, toWireError } from "../wire/index.ts";
import { backupMagic, backupVersion, sealRecord } from "./backup-file.ts";
import type { BackupManifest } from "./backup-file.ts";
import { LocalSource, RemoteSource } from "./backup-source.ts";
import type { BackupSource } from "./backup-source.ts";
import type { Call, ServerStream } from "./connection.ts";
import { withTimeout } from "./timeout.ts";
import type { UnumNode } from "./node.ts";

/** A node that was asked for its keyspaces says within this time what it will send. */
const openMs = 15_000;

interface Wanted {
  readonly name: string;
  readonly group: GroupId;
  /** Copies. */
  readonly copies: number;
}

/**
 * A backup is a sequence of records, [length u32][crc u32][bytes]: the manifest, then for each
 * keyspace the chunks of its snapshot and an empty record. Each keyspace is consistent in itself;
 * different keyspaces are as of slightly different moments. Any node writes it: what it has no copy
 * of it fetches from nodes that have one.
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
    const wanted = [...new Set(keyspaces ?? state.keyspaces.keys())].map((name): Wanted => {
      const group = state.keyspaces.get(name);
      if (group === undefined) throw new UnumError("NOT_FOUND", `There is no keyspace "${name}".`);
      if (call.request.forwarded && !this.holds(group))
        throw new UnumError("UNAVAILABLE", `This node holds no copy of keyspace "${name}" now.`);
      return { name, group, copies: state.groups.get(group)?.wanted ?? 1 };
    });
    const stream = new BackupStream(this.node, call);
    call.connection.stream(call, stream);
    void stream.run(() => this.open(wanted));
  }

  private holds(group: GroupId): boolean {
    const replica = this.node.groups.get(group);
    return replica !== undefined && replica.failure === undefined;
  }

  /** The states, all taken before anything is sent; closes what it opened when it rejects. */
  private async open(wanted: readonly Wanted[]): Promise<BackupSource[]> {
    const open: BackupSource[] = [];
    try {
      for (const { copies, group, name } of wanted) {
        if (!this.holds(group)) continue;
        const { machine } = await this.current(group);
        open.push(new LocalSource({ name, revision: machine.revision, wanted: copies }, machine.snapshot(), this.node.platform.checksum));
      }
      const here = new Set(open.flatMap(({ keyspaces }) => keyspaces.map(({ name }) => name)));
      await this.fetch(
        wanted.filter(({ name }) => !here.has(name)),
        open,
      );
      return open;
    } catch (error) {
      for (const source of open) source.close();
      throw error;
    }
  }

  /** Asks nodes that have the keyspaces, each for all of its share at once; what one refuses the next one is asked for. */
  private async fetch(wanted: readonly Wanted[], open: BackupSource[]): Promise<void> {
    const tried = new Map<GroupId, Set<NodeId>>();
    let missing = wanted;
    let last: unknown;
    while (missing.length > 0) {
      const shares = new Map<NodeId, Wanted[]>();
      for (const each of missing) {
        const asked = tried.get(each.group) ?? new Set();
        const holder = this.holderOf(each.group, asked);
        if (holder === undefined)
          throw new UnumError("UNAVAILABLE", `No node that holds keyspace "${each.name}" can be reached.`, { cause: last });
        tried.set(each.group, asked.add(holder));
        shares.set(holder, [...(shares.get(holder) ?? []), each]);
      }
      const failed: Wanted[] = [];
      await Promise.all(
        [...shares].map(async ([holder, share]) => {
          try {
            open.push(await this.ask(holder, share));
          } catch (error) {
            last = error;
            failed.push(...share);
          }
        }),
      );
      missing = failed;
    }
  }

  private holderOf(group: GroupId, asked: ReadonlySet<NodeId>): NodeId | undefined {
    const { directory, leaders, links } = this.node;
    const holders = (directory?.nodesOf(group) ?? []).filter((id) => !asked.has(id) && links.isConnected(id));
    const leader = leaders.get(group);
    return leader !== undefined && holders.includes(leader) ? leader : holders[0];
  }

  private async ask(holder: NodeId, share: readonly Wanted[]): Promise<BackupSource> {
    const { clock, checksum } = this.node.platform;
    const body = encodeBackupRequest({ keyspaces: share.map(({ name }) => name) });
    const request = { method: Method.backup, group: systemGroup, body };
    const asked = RemoteSource.open(holder, (sink) => this.node.router.openStream(holder, request, openMs, sink), checksum);
    try {
      return await withTimeout(clock, asked, openMs, `node ${holder}`);
    } catch (error) {
      // It may still come: nobody would read it.
      asked.then(
        (late) => late.close(),
        () => undefined,
      );
      throw error;
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
    if (leader === undefined) throw new UnumError("NO_LEADER");
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

  async run(open: () => Promise<readonly BackupSource[]>): Promise<void> {
    const { connection, request } = this.call;
    let sources: readonly BackupSource[] = [];
    try {
      sources = await open();
      const manifest: BackupManifest = {
        magic: backupMagic,
        version: backupVersion,
        cluster: this.node.identity.value.cluster ?? "",
        keyspaces: sources.flatMap(({ keyspaces }) => keyspaces),
      };
      await this.send(sealRecord(utf8Encode(JSON.stringify(manifest)), this.node.platform.checksum));
      for (const source of sources)
        for (let record = await source.next(); record !== undefined; record = await source.next()) await this.send(record);
      connection.end(request.id, { ok: true, body: new Uint8Array(0) });
    } catch (error) {
      connection.end(request.id, { ok: false, error: toWireError(error) });
    } finally {
      for (const source of sources) source.close();
    }
  }

  private async send(record: Uint8Array): Promise<void> {
    while (this.creditBytes <= 0 && !this.cancelled) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = undefined;
    }
    if (this.cancelled) throw new UnumError("CLOSED", "The backup was cancelled.");
    this.creditBytes -= record.length;
    this.call.connection.item(this.call.request.id, record);
  }
}
