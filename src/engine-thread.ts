/** The engine's own thread: a node, and leases renewed for a program whose thread may stand still. Started by `isolated.ts`. */
import { parentPort, workerData } from "node:worker_threads";
import { Renewal, openRawHandle } from "./api/index.ts";
import type { RawHandle } from "./api/index.ts";
import { Prng, UnumError } from "./base/index.ts";
import { openEngine } from "./engine.ts";
import type { Engine } from "./engine.ts";
import { Beat, SharedDeadline, threadNowMs } from "./engine-messages.ts";
import type { EngineSetup, FromEngine, KeepRequest, ToEngine } from "./engine-messages.ts";
import type { Logger } from "./ports/index.ts";
import { MessagePortCarrier, toWireError } from "./wire/index.ts";
import type { PortLike, WireError } from "./wire/index.ts";

function tell(message: FromEngine): void {
  parentPort?.postMessage(message);
}

/** Fields and details may hold anything; what cannot cross is told as text. */
function tellSafely(message: FromEngine, otherwise: () => FromEngine): void {
  try {
    tell(message);
  } catch {
    tell(otherwise());
  }
}

function log(level: keyof Logger): Logger["info"] {
  return (message, fields) =>
    tellSafely({ kind: "log", level, message, fields }, () => ({ kind: "log", level, message, fields: { fields: String(fields) } }));
}

const logger: Logger = { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };

function tellError(kind: "failed" | "stopped", cause: unknown): void {
  const error = cause instanceof UnumError ? cause : new UnumError("NODE_STOPPED", `The engine failed: ${String(cause)}`);
  const wire: WireError = toWireError(error);
  tellSafely({ kind, error: wire }, () => ({ kind, error: { ...wire, details: {} } }));
}

/** Ends this thread, whatever is still open in it: its program waits for that. What was told before arrives. */
function leave(): void {
  process.exit();
}

class Keeper {
  private readonly handle: RawHandle;
  private readonly engine: Engine;
  private readonly beat: Beat;
  private readonly maxStallMs: number;
  private readonly prng = new Prng("renewals");
  private readonly keeps = new Map<number, Renewal>();

  constructor(engine: Engine, setup: EngineSetup) {
    this.engine = engine;
    this.beat = new Beat(setup.beat);
    this.maxStallMs = setup.maxStallMs;
    this.handle = openRawHandle(engine.environment, { ...engine.client, name: `${engine.node.options.name} leases` });
  }

  keep(request: KeepRequest): void {
    const { id, keyspace, lease, ttlMs, renews } = request;
    const { clock } = this.engine.environment;
    const deadline = new SharedDeadline(request.deadlines);
    const { beat, maxStallMs } = this;
    // Moments of the program's thread and of this one differ by when the threads started.
    const offsetMs = threadNowMs() - clock.now();
    const space = this.handle.raw(keyspace);
    const renewal = new Renewal(
      {
        clock,
        prng: this.prng,
        get isWanted(): boolean {
          return beat.silentMs() <= maxStallMs;
        },
        renew: (timeout) => space.keepAlive(lease, { timeout }),
        renewed: (sent, lastsMs) => deadline.set(sent.nowMs + offsetMs + lastsMs, sent.wallMs + lastsMs),
        lost: (why) => {
          this.keeps.delete(id);
          tell({ kind: "lost", id, why });
        },
      },
      { ttlMs, renews, sent: { nowMs: request.sentMs - offsetMs, wallMs: request.sentWallMs } },
    );
    this.keeps.set(id, renewal);
  }

  letGo(id: number): void {
    this.keeps.get(id)?.cancel();
    this.keeps.delete(id);
  }

  async close(): Promise<void> {
    for (const keep of this.keeps.values()) keep.cancel();
    this.keeps.clear();
    await this.handle.close();
  }
}

async function run(setup: EngineSetup): Promise<void> {
  const engine = await openEngine(setup.values, setup.timeout, logger);
  const keeper = new Keeper(engine, setup);
  const { clock } = engine.environment;
  void engine.stopped.then((reason) => tellError("stopped", reason));
  parentPort?.on("message", (message: ToEngine) => {
    switch (message.kind) {
      case "dial":
        engine.node.admit(new MessagePortCarrier(message.port as PortLike, (callback) => clock.defer(callback), "program"));
        break;
      case "keep":
        keeper.keep(message);
        break;
      case "let-go":
        keeper.letGo(message.id);
        break;
      case "close":
        keeper
          .close()
          .then(() => engine.close())
          .then(leave, (error: unknown) => {
            tellError("stopped", error);
            leave();
          });
        break;
    }
  });
  tell({ kind: "ready", name: engine.node.options.name });
}

run(workerData as EngineSetup).catch((error: unknown) => {
  tellError("failed", error);
  leave();
});
