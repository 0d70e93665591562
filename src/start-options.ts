import { resolveOptions } from "./base/index.ts";
import type { OptionInput, OptionValues } from "./base/index.ts";
import { silentLogger } from "./ports/index.ts";
import type { Logger } from "./ports/index.ts";

/** Options of a node; what is left out comes from `UNUM_*` variables, then from defaults. */
export type StartOptions = Omit<OptionInput, "endpoint"> & { readonly logger?: Logger | undefined };

export interface NodeValues {
  readonly values: OptionValues<"node">;
  /** Of the handle's calls, in milliseconds. */
  readonly timeout: number | undefined;
  readonly logger: Logger;
}

/** Throws INVALID_ARGUMENT. */
export function readStartOptions(options: StartOptions): NodeValues {
  const { logger = silentLogger, ...given } = options;
  const { timeout } = resolveOptions("client", { timeout: given.timeout }, process.env);
  return { values: resolveOptions("node", given, process.env), timeout, logger };
}
