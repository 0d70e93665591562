import { openHandle } from "./api/index.ts";
import type { Unum } from "./api/index.ts";
import { openEngine } from "./engine.ts";
import type { EngineExtras } from "./engine.ts";
import type { Address } from "./ports/index.ts";
import type { UnumNode } from "./runtime/index.ts";
import { readStartOptions } from "./start-options.ts";
import type { StartOptions } from "./start-options.ts";

export type { StartOptions } from "./start-options.ts";

/** A node in this thread, and the handle to it. */
export interface EmbeddedNode {
  readonly handle: Unum;
  readonly node: UnumNode;
  /** Where etcd's clients are answered, if they are. */
  readonly etcd: Address | undefined;
}

/** The engine shares this thread and its event loop: for programs that do nothing else. */
export async function startEmbedded(options: StartOptions, extras: EngineExtras = {}): Promise<EmbeddedNode> {
  const { values, timeout, logger } = readStartOptions(options);
  const engine = await openEngine(values, timeout, logger, extras);
  const handle = openHandle(engine.environment, { ...engine.client, onClose: () => engine.close() });
  return { handle, node: engine.node, etcd: engine.etcd };
}
