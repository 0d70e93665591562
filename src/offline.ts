import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import type { RecoveryPlan, RestoreReport } from "./runtime/index.ts";
import { NodeChecksum, NodeClock, NodeDisk, NodeRandom } from "./platform/node/index.ts";
import { silentLogger } from "./ports/index.ts";
import { planRecovery, recoverDirectory, restoreDirectory } from "./runtime/index.ts";
import type { OfflinePlatform } from "./runtime/index.ts";

/** Operations on the data directory of a node that does not run, for the command line. */
async function withDirectory<T>(data: string, work: (platform: OfflinePlatform) => Promise<T>): Promise<T> {
  const disk = await NodeDisk.open(data);
  return work({ disk, clock: new NodeClock(), random: new NodeRandom(), checksum: new NodeChecksum(), logger: silentLogger });
}

export function restore(request: {
  readonly backup: AsyncIterable<Uint8Array>;
  readonly data: string;
  readonly name: string | undefined;
  readonly advertise: string | undefined;
}): Promise<RestoreReport> {
  return withDirectory(request.data, (platform) =>
    restoreDirectory(platform, request.backup, { name: request.name ?? "", address: request.advertise ?? "" }),
  );
}

export function plan(request: { readonly data: string }): Promise<RecoveryPlan> {
  return withDirectory(request.data, planRecovery);
}

/**
 * The old directory is kept beside the new one, as `<data>.before-recover`, or with a number behind it when an earlier
 * recovery left one there. Fulfils with its path.
 */
export async function recover(request: { readonly data: string }): Promise<{ readonly kept: string }> {
  const data = request.data.replace(/(.)\/+$/, "$1");
  const fresh = `${data}.recovering`;
  await rm(fresh, { recursive: true, force: true });
  await withDirectory(data, (old) => withDirectory(fresh, (target) => recoverDirectory(old, target)));
  const kept = freeName(`${data}.before-recover`);
  await rename(data, kept);
  await rename(fresh, data);
  return { kept };
}

function freeName(wanted: string): string {
  for (let i = 1; ; i++) {
    const name = i === 1 ? wanted : `${wanted}-${i}`;
    if (!existsSync(name)) return name;
  }
}
