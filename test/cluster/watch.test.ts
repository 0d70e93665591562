import { afterEach, expect, it } from "vitest";
import { ProcessCluster } from "../support/cluster.ts";
import { eventually } from "../support/load.ts";

let cluster: ProcessCluster | undefined;
afterEach(async () => {
  await cluster?.close();
  cluster = undefined;
});

it("a watch outlives each node in turn, without loss or repetition", async () => {
  cluster = await ProcessCluster.start({ nodes: 3 });
  const handle = await cluster.connect();
  const watch = handle.kv.watch<number>({ prefix: "w/" });
  await watch.started;
  const seen: { readonly revision: number; readonly key: string; readonly value: unknown }[] = [];
  const reading = (async (): Promise<void> => {
    for await (const change of watch) {
      for (const event of change.events) {
        seen.push({ revision: change.revision, key: event.key, value: event.kind === "put" ? event.entry.value : "deleted" });
      }
    }
  })();

  const acknowledged = new Map<string, number>();
  let writing = true;
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let i = 0; writing; i++) {
      const key = `w/${writer}/${i}`;
      const done = await handle.kv.put(key, i, { timeout: 20_000 }).catch(() => undefined);
      if (done !== undefined) acknowledged.set(key, done.revision);
    }
  });
  const progress = async (what: string): Promise<void> => {
    const { size } = acknowledged;
    const { length } = seen;
    await eventually(what, () => acknowledged.size > size + 200 && seen.length > length + 200);
  };
  await progress("events before");
  for (const node of cluster.nodes) {
    await node.kill();
    await progress(`events without ${node.name}`);
    node.start();
    await eventually(`${node.name} is back`, async () => (await handle.status()).votersUp === 3);
  }
  writing = false;
  await Promise.all(writers);
  const last = await handle.kv.put("w/last", 1);
  await eventually("the last event", () => seen.at(-1)?.revision === last.revision);
  await watch.close();
  await reading;

  for (let at = 1; at < seen.length; at++) expect(seen[at]?.revision).toBeGreaterThan(seen[at - 1]?.revision ?? 0);
  const revisionOf = new Map(seen.map((event) => [event.key, event.revision]));
  expect([...acknowledged].filter(([key, revision]) => revisionOf.get(key) !== revision)).toEqual([]);
  expect(revisionOf.size).toBe(seen.length);
});
