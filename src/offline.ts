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

/** The old directory is kept beside the new one, as `<data>.before-recover`. */
export async function recover(request: { readonly data: string }): Promise<void> {
  const fresh = `${request.data}.recovering`;
  const kept = `${request.data}.before-recover`;
  await rm(fresh, { recursive: true, force: true });
  await withDirectory(request.data, (old) => withDirectory(fresh, (target) => recoverDirectory(old, target)));
  await rename(request.data, kept);
  await rename(fresh, request.data);
}
