import { describe, expect, it } from "vitest";
import { replicaId } from "../base/index.ts";
import { StorageWorld, makeEntries } from "./harness.golden.ts";

describe("storage", () => {
  it("gives back what was acknowledged, after a power loss", async () => {
    const world = new StorageWorld(7);
    await world.open();
    const log = world.create(1);
    let done = 0;
    log.append({ hardState: { term: 1, vote: replicaId(2), commit: 0 }, entries: makeEntries(1, 1, 3, 1) }, () => done++);
    world.storage.flush();
    await world.clock.pass(5);
    expect(done).toBe(1);
    world.crash("power", "lose");
    await world.open();
    const { recovered } = world.log(1);
    expect(recovered.hardState).toEqual({ term: 1, vote: 2, commit: 0 });
    expect(recovered.entries).toEqual(makeEntries(1, 1, 3, 1));
    expect(recovered.suspect).toBe(false);
  });
});
