import { MessageChannel, Worker } from "node:worker_threads";
import { certainMs, openHandle } from "./api/index.ts";
import type { Environment, Held, KeptLease, LeaseKeep, LeaseKeeper, Unum } from "./api/index.ts";
import { Prng, UnumError, hexEncode } from "./base/index.ts";
import { Beat, SharedDeadline, threadNowMs } from "./engine-messages.ts";
import type { EngineSetup, FromEngine, ToEngine } from "./engine-messages.ts";
import { NodeClock, NodeRandom, NodeScope, threadFile } from "./platform/node/index.ts";
import type { Logger } from "./ports/index.ts";
import type { NodeValues } from "./start-options.ts";
import { MessagePortCarrier, fromWireError } from "./wire/index.ts";
import type { PortLike } from "./wire/index.ts";

const engineFile = "engine-thread.js";

/**
 * Starts the node in a thread of its own, and gives the handle to it. The node votes, leads and renews the program's leases while the
 * program's thread is blocked, up to `maxStall`. Rejects as `start` does; ENGINE_NOT_FOUND when the thread's file is missing.
 */
export async function startIsolated({ values, timeout, logger }: NodeValues): Promise<Unum> {
  const beat = new Beat();
  beat.strike();
  const setup: EngineSetup = { values, timeout, beat: beat.buffer, maxStallMs: values.maxStall ?? 30_000 };
  const thread = new EngineThread(new Worker(threadFile(engineFile), { workerData: setup, name: "unum-engine", execArgv: [] }), logger);
  const name = await thread.ready;
  const clock = new NodeClock();
  const environment: Environment = {
    clock,
    prng: new Prng(hexEncode(new NodeRandom().bytes(16))),
    logger,
    scope: new NodeScope<Held>(),
    dial: () => {
      const { port1, port2 } = new MessageChannel();
      thread.send({ kind: "dial", port: port2 }, [port2]);
      return Promise.resolve(new MessagePortCarrier(port1 as PortLike, (callback) => clock.defer(callback), "engine"));
    },
    keeper: new ThreadKeeper(thread, clock, beat, setup.maxStallMs),
    stopped: thread.stopped,
  };
  return openHandle(environment, { endpoints: ["local"], direct: false, timeout, name, onClose: () => thread.close() });
}

/** The thread as its starter sees it. */
class EngineThread {
  /** The node's name; rejects with why it did not start. */
  readonly ready: Promise<string>;
  /** Why it ended; never rejects. */
  readonly stopped: Promise<UnumError>;
  /** Told of leases that the thread could not keep. */
  onLost: ((id: number, why: string) => void) | undefined;
  private readonly worker: Worker;
  private readonly exited: Promise<void>;

  constructor(worker: Worker, logger: Logger) {
    this.worker = worker;
    let stop: (reason: UnumError) => void = () => undefined;
    let failure: UnumError | undefined;
    this.stopped = new Promise((resolve) => {
      stop = resolve;
    });
    this.exited = new Promise((resolve) => {
      worker.once("exit", (code) => {
        stop(failure ?? new UnumError("NODE_STOPPED", `The engine's thread has ended (exit code ${code}).`));
        resolve();
      });
    });
    this.ready = new Promise((resolve, reject) => {
      worker.on("message", (message: FromEngine) => {
        switch (message.kind) {
          case "ready":
            resolve(message.name);
            break;
          case "failed":
            // Told when the thread has ended: directory and port are free again then.
            failure = fromWireError(message.error);
            break;
          case "log":
            logger[message.level](message.message, message.fields);
            break;
          case "lost":
            this.onLost?.(message.id, message.why);
            break;
          case "stopped":
            stop(fromWireError(message.error));
            break;
        }
      });
      worker.once("error", (cause) => {
        stop(new UnumError("NODE_STOPPED", `The engine's thread failed: ${String(cause)}`, { cause }));
      });
      void this.stopped.then(reject);
    });
  }

  send(message: ToEngine, transfer: Parameters<Worker["postMessage"]>[1] = []): void {
    this.worker.postMessage(message, transfer);
  }

  /** Fulfils when the thread has ended and left nothing behind. */
  async close(): Promise<void> {
    this.send({ kind: "close" });
    await this.exited;
  }
}

const beatMsMax = 1_000;

/** Asks the engine's thread to renew leases; what it achieves is read in shared memory. While there are some, the thread is shown that this one is awake. */
class ThreadKeeper implements LeaseKeeper {
  private readonly thread: EngineThread;
  private readonly clock: NodeClock;
  private readonly beat: Beat;
  private readonly beatMs: number;
  private readonly kept = new Map<number, KeptLease>();
  private timer: { cancel(): void } | undefined;
  private lastId = 0;

  constructor(thread: EngineThread, clock: NodeClock, beat: Beat, maxStallMs: number) {
    this.thread = thread;
    this.clock = clock;
    this.beat = beat;
    this.beatMs = Math.min(beatMsMax, maxStallMs / 10);
    thread.onLost = (id, why) => {
      const lease = this.kept.get(id);
      this.forget(id);
      lease?.lost(why);
    };
  }

  keep(lease: KeptLease): LeaseKeep {
    const id = ++this.lastId;
    const { keyspace, ttlMs, renews } = lease;
    const deadline = new SharedDeadline();
    const sentMs = threadNowMs() - (this.clock.now() - lease.sent.nowMs);
    const until = certainMs(ttlMs);
    deadline.set(sentMs + until, lease.sent.wallMs + until);
    this.kept.set(id, lease);
    this.strike();
    const sent = { sentMs, sentWallMs: lease.sent.wallMs };
    this.thread.send({ kind: "keep", id, keyspace, lease: lease.lease, ttlMs, renews, ...sent, deadlines: deadline.buffer });
    return {
      leftMs: () => deadline.leftMs(),
      cancel: () => {
        if (!this.kept.has(id)) return;
        this.forget(id);
        this.thread.send({ kind: "let-go", id });
      },
    };
  }

  private forget(id: number): void {
    this.kept.delete(id);
    if (this.kept.size > 0) return;
    this.timer?.cancel();
    this.timer = undefined;
  }

  private strike(): void {
    this.beat.strike();
    this.timer ??= this.clock.after(this.beatMs, () => {
      this.timer = undefined;
      if (this.kept.size > 0) this.strike();
    });
  }
}
