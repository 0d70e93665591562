import { UnumError, isUnumError, parseDurationMs } from "../base/index.ts";
import type { Client } from "./client.ts";
import type { CliContext } from "./context.ts";
import { resolveEndpoints } from "./endpoint.ts";
import type { Endpoints } from "./endpoint.ts";
import { Mistake } from "./failure.ts";
import type { ExitCode } from "./failure.ts";
import { Progress, isLively } from "./output.ts";

/** The flags of every command that talks to a cluster. */
export interface ClusterFlags {
  readonly endpoint?: string | undefined;
  readonly timeout?: string | undefined;
}

/** Connects, works, closes; shows progress after a second. */
export async function withClient(
  context: CliContext,
  flags: ClusterFlags,
  what: string,
  work: (client: Client, progress: Progress) => Promise<ExitCode>,
): Promise<ExitCode> {
  const endpoints = await resolveEndpoints(context, flags.endpoint);
  const timeout = readTimeout(context, flags.timeout);
  const progress = new Progress(context.stderr, context.clock, isLively(context.stderr, context.processes.environment), what);
  let client: Client | undefined;
  try {
    client = await context.connect(endpoints.addresses, { timeout });
    return await work(client, progress);
  } catch (error) {
    throw explain(error, endpoints);
  } finally {
    progress.done();
    await client?.close();
  }
}

export function readTimeout(context: CliContext, flag: string | undefined): number | undefined {
  const text = flag ?? (context.processes.environment["UNUM_TIMEOUT"] || undefined);
  if (text === undefined) return undefined;
  const timeout = parseDurationMs(text);
  const source = flag === undefined ? "UNUM_TIMEOUT" : "--timeout";
  if (timeout === undefined || timeout <= 0)
    throw new Mistake(
      `${source} takes a time, not "${text}"`,
      `for example: ${source === "--timeout" ? "--timeout 5s" : "UNUM_TIMEOUT=5s"}`,
    );
  return timeout;
}

/** An unreachable default endpoint most often means that nothing was started. */
function explain(error: unknown, endpoints: Endpoints): unknown {
  if (!isUnumError(error, "UNAVAILABLE")) return error;
  const where = `no node answers at ${endpoints.addresses.join(", ")} (${endpoints.source === "default" ? "the default" : `from ${endpoints.source}`})`;
  const hint = endpoints.source === "default" ? '; start a cluster with "unum dev", or name one with --endpoint' : "";
  return new UnumError("UNAVAILABLE", `${where}${hint}`, { cause: error });
}

/**
 * Asks before something is destroyed. `--yes` answers; where nobody can answer it is a mistake to
 * have left it out.
 */
export async function confirm(context: CliContext, question: string, yes: boolean, progress?: Progress): Promise<boolean> {
  if (yes) return true;
  if (!context.stdin.terminal) throw new Mistake(`there is no terminal to ask at before this: ${question}`, "add --yes to go ahead");
  progress?.pause();
  context.stderr.write(`${question}? [y/N] `);
  const answer = (await context.stdin.readLine())?.trim().toLowerCase();
  progress?.resume();
  if (answer === "y" || answer === "yes") return true;
  context.stderr.write("nothing was changed\n");
  return false;
}
