import { UnumError, limits, systemGroup } from "../base/index.ts";
import { decodeReply } from "../machine/commands/index.ts";
import { Method, encodeBackupRequest, fromWireError } from "../wire/index.ts";
import type { Answer } from "../wire/index.ts";
import { askAdmin } from "./admin.ts";
import type { Client } from "./client/client.ts";
import type { OpenStream, StreamSink } from "./client/connection.ts";
import { replyError } from "./client/replies.ts";
import type { AbortSignalLike } from "./signal.ts";
import type { BackupOptions } from "./types.ts";

/**
 * The bytes of a backup, as they come. They are of one moment of one node, so there is no going on
 * at another: a lost connection ends it with UNAVAILABLE.
 */
export async function* readBackup(client: Client, options: BackupOptions): AsyncGenerator<Uint8Array, void> {
  const signal = options.signal;
  if (signal?.aborted === true) throw signal.reason;
  await connected(client, signal);
  const receiver = new Receiver(client, signal);
  try {
    receiver.open(encodeBackupRequest({ keyspaces: options.keyspaces ?? null }));
    for (;;) {
      const chunk = await receiver.next();
      if (chunk === undefined) return;
      yield chunk;
    }
  } finally {
    receiver.close();
  }
}

async function connected(client: Client, signal: AbortSignalLike | undefined): Promise<void> {
  if (client.isConnected) return;
  await askAdmin(client, { op: "node-status" }, { signal });
}

class Receiver implements StreamSink {
  private readonly client: Client;
  private readonly signal: AbortSignalLike | undefined;
  private stream: OpenStream | undefined;
  private chunks: Uint8Array[] = [];
  private over = false;
  private error: { readonly reason: unknown } | undefined;
  private wake: (() => void) | undefined;
  private owed = 0;
  private readonly release: () => void;

  constructor(client: Client, signal: AbortSignalLike | undefined) {
    this.client = client;
    this.signal = signal;
    this.release = client.whenEnded(() => this.finish(client.ended));
    signal?.addEventListener("abort", this.onAbort);
  }

  open(body: Uint8Array): void {
    this.stream = this.client.openStream(Method.backup, systemGroup, body, this);
    if (this.stream === undefined) this.finish(new UnumError("UNAVAILABLE"));
  }

  async next(): Promise<Uint8Array | undefined> {
    while (this.chunks.length === 0 && !this.over) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    const chunk = this.chunks.shift();
    if (chunk === undefined && this.error !== undefined) throw this.error.reason;
    if (chunk !== undefined) this.consumed(chunk.length);
    return chunk;
  }

  close(): void {
    this.release();
    this.signal?.removeEventListener("abort", this.onAbort);
    this.stream?.cancel();
    this.over = true;
  }

  item(body: Uint8Array): void {
    this.chunks.push(body.slice());
    this.wake?.();
  }

  end(answer: Answer | undefined): void {
    this.stream = undefined;
    if (answer === undefined) return this.finish(new UnumError("UNAVAILABLE", "The node that wrote the backup is lost; begin anew."));
    if (!answer.ok) return this.finish(fromWireError(answer.error));
    const reply = answer.body.length === 0 ? undefined : decodeReply(answer.body);
    this.finish(reply === undefined || reply.ok ? undefined : replyError(reply));
  }

  private consumed(bytes: number): void {
    this.owed += bytes;
    if (this.owed < limits.streamCreditBytes / 4) return;
    this.stream?.credit(this.owed);
    this.owed = 0;
  }

  private readonly onAbort = (): void => {
    this.chunks = [];
    this.finish(this.signal?.reason);
  };

  private finish(reason: unknown): void {
    if (this.over) return;
    this.over = true;
    if (reason !== undefined) this.error = { reason };
    this.wake?.();
  }
}
