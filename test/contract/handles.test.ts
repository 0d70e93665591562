/** One contract over everything that can carry a handle's frames, with real nodes behind it. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MessageChannel } from "node:worker_threads";
import { handleContract } from "../../src/api/handle.contract.ts";
import type { HandleUnderTest } from "../../src/api/handle.contract.ts";
import { openHandle } from "../../src/api/index.ts";
import { Prng } from "../../src/base/index.ts";
import { startEmbedded } from "../../src/embedded.ts";
import type { EmbeddedNode } from "../../src/embedded.ts";
import { start } from "../../src/index.ts";
import { connect } from "../../src/index.ts";
import { NodeClock } from "../../src/platform/node/index.ts";
import { silentLogger } from "../../src/ports/index.ts";
import { MessagePortCarrier } from "../../src/wire/index.ts";
import type { PortLike } from "../../src/wire/index.ts";
import { ProcessCluster } from "../support/cluster.ts";
import { freePort } from "../support/ports.ts";

handleContract("TCP, three processes", async () => {
  const cluster = await ProcessCluster.start({ nodes: 3 });
  const handle = await connect(cluster.nodes.map((node) => `unum://${node.address}`));
  return { handle, close: () => cluster.close() };
});

handleContract("TCP, pinned to a follower", async () => {
  const cluster = await ProcessCluster.start({ nodes: 3 });
  const follower = cluster.follower(await cluster.leader());
  const handle = await connect([`unum://${follower.address}`], { pinned: true });
  return { handle, close: () => cluster.close() };
});

async function embedded(): Promise<EmbeddedNode & { readonly remove: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "unum-test-"));
  const made = await startEmbedded({ name: "e", data: join(directory, "e"), listen: `127.0.0.1:${await freePort()}` });
  return { ...made, remove: () => rm(directory, { recursive: true, force: true }) };
}

handleContract("direct calls to an embedded node", async (): Promise<HandleUnderTest> => {
  const { handle, remove } = await embedded();
  return { handle, close: remove };
});

handleContract("a node in a thread of its own", async (): Promise<HandleUnderTest> => {
  const directory = await mkdtemp(join(tmpdir(), "unum-test-"));
  const handle = await start({ name: "e", data: join(directory, "e"), listen: `127.0.0.1:${await freePort()}` });
  return { handle, close: () => rm(directory, { recursive: true, force: true }) };
});

handleContract("a MessagePort to an embedded node", async (): Promise<HandleUnderTest> => {
  const { handle: own, node, remove } = await embedded();
  const clock = new NodeClock();
  const defer = (callback: () => void): void => clock.defer(callback);
  const handle = openHandle(
    {
      clock,
      prng: new Prng("a MessagePort"),
      logger: silentLogger,
      dial: () => {
        const { port1, port2 } = new MessageChannel();
        node.admit(new MessagePortCarrier(port2 as PortLike, defer));
        return Promise.resolve(new MessagePortCarrier(port1 as PortLike, defer));
      },
    },
    { endpoints: ["local"], direct: false },
  );
  const close = async (): Promise<void> => {
    await own.close();
    await remove();
  };
  return { handle, close };
});
