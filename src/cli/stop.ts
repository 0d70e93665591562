import type { CliContext, RunningNode } from "./context.ts";
import type { ExitCode } from "./failure.ts";

/** Runs the node until it is asked to stop, and closes it. Rejects with why it had to stop by itself. */
export async function untilStopped(node: RunningNode, requested: Promise<string>, say: (message: string) => void): Promise<ExitCode> {
  const why = await Promise.race([requested, node.closed.then(() => "closed")]);
  if (why === "closed") return 0;
  say(`stopping: ${why}`);
  await node.close();
  return 0;
}

/** A first signal asks to stop; a second one is left to the operating system, which ends the process. */
export function stopRequest(context: CliContext, withParent: boolean): { readonly requested: Promise<string>; release(): void } {
  const releases: (() => void)[] = [];
  const release = (): void => {
    for (const off of releases.splice(0)) off();
  };
  const requested = new Promise<string>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      releases.push(
        context.processes.onSignal(signal, () => {
          // Ctrl-C reaches the whole process group; a parent that holds us decides what it means.
          if (withParent && signal === "SIGINT") return;
          release();
          resolve(signal);
        }),
      );
    }
    if (withParent) context.stdin.onEnd(() => resolve("the parent process has ended"));
  });
  return { requested, release };
}
