import type { CliContext } from "./context.ts";
import type { ExitCode } from "./failure.ts";

/**
 * Work that a signal ends with exit code 130: `abort` is called at once, and what the work was about
 * to say afterwards is dropped. The caller cleans up when this has fulfilled.
 */
export async function interruptible(context: CliContext, abort: () => void, work: () => Promise<ExitCode>): Promise<ExitCode> {
  const releases: (() => void)[] = [];
  const interrupted = new Promise<ExitCode>((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      releases.push(
        context.processes.onSignal(signal, () => {
          abort();
          resolve(130);
        }),
      );
    }
  });
  try {
    return await Promise.race([work(), interrupted]);
  } finally {
    for (const release of releases) release();
  }
}
