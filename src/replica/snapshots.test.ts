import { expect, it } from "vitest";
import type { GroupId, ReplicaId } from "../base/index.ts";
import { silentLogger } from "../ports/index.ts";
import type { SnapshotMeta } from "../raft/index.ts";
import type { SnapshotFile } from "../storage/index.ts";
import type { Replica } from "./replica.ts";
import { Snapshots } from "./snapshots.ts";
import type { ReplicaHost } from "./types.ts";

const group = 1 as GroupId;
const [first, second] = [2 as ReplicaId, 3 as ReplicaId];
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A replica whose snapshots are durable when the test says so, and who was sent which. */
class Stage {
  readonly sent: (readonly [to: ReplicaId, index: number])[] = [];
  readonly failed: ReplicaId[] = [];
  readonly snapshots: Snapshots;
  applied = 5;
  saves = 0;
  private finish: (() => void) | undefined;
  private file: SnapshotFile | undefined;

  constructor() {
    const host = {
      clock: { now: () => 0 },
      logger: silentLogger,
      sendSnapshot: (_: Replica, to: ReplicaId, file: SnapshotFile) => void this.sent.push([to, file.meta.index]),
    };
    const stage = this;
    const log = {
      bytesSinceSnapshot: 0,
      get snapshot(): SnapshotFile | undefined {
        return stage.file;
      },
      saveSnapshot: (meta: SnapshotMeta): Promise<SnapshotFile> => {
        this.saves++;
        return new Promise((resolve) => {
          this.finish = () => {
            this.file = { meta, bytes: 1 } as SnapshotFile;
            resolve(this.file);
          };
        });
      },
    };
    const replica = {
      group,
      log,
      get applied(): number {
        return stage.applied;
      },
      appliedTerm: 1,
      configuration: undefined,
      isReadable: true,
      failure: undefined,
      check: { isDiscarded: false },
      machine: { snapshot: () => ({ next: () => undefined, release: () => undefined }) },
      compacted: () => undefined,
      snapshotFailed: (to: ReplicaId) => void this.failed.push(to),
    };
    this.snapshots = new Snapshots(replica as unknown as Replica, 1_000, host as unknown as ReplicaHost);
  }

  async durable(): Promise<void> {
    this.finish?.();
    await turn();
  }
}

it("one that needs a later snapshot than the one being saved gets the next one: the loop over those who wait put it down again without end", async () => {
  const stage = new Stage();
  stage.snapshots.send(first, 3);
  stage.snapshots.send(second, 8);
  await stage.durable();
  expect([stage.saves, stage.sent]).toEqual([1, [[first, 5]]]);
  stage.snapshots.tick();
  expect(stage.saves, "it has not applied so much yet").toBe(1);
  stage.applied = 9;
  stage.snapshots.tick();
  await stage.durable();
  expect([stage.saves, stage.sent, stage.failed]).toEqual([
    2,
    [
      [first, 5],
      [second, 9],
    ],
    [],
  ]);
});
