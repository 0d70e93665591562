/** Unum's handle over a real ZooKeeper. */
import { describe } from "vitest";
import { claimsContract } from "../../src/api/claims.contract.ts";
import { handleContract } from "../../src/api/handle.contract.ts";
import { connect } from "../../src/index.ts";
import type { UnumHandle } from "../../src/index.ts";
import { ZooKeeperServer, zookeeperPath } from "../support/zookeeper-server.ts";

if (zookeeperPath === undefined)
  console.log("ZooKeeper is skipped: no Java, or neither UNUM_TEST_ZOOKEEPER (a class path) nor Debian's package");

describe.skipIf(zookeeperPath === undefined)("over a real ZooKeeper", () => {
  handleContract(
    "ZooKeeper",
    async () => {
      const server = await ZooKeeperServer.open();
      const handle = (await connect(`zookeeper://${server.address}/apps/contract`)) as UnumHandle;
      return { handle, close: () => server.close() };
    },
    { keyspaces: /one keyspace/ },
  );

  claimsContract("ZooKeeper", async () => {
    const server = await ZooKeeperServer.open();
    const url = `zookeeper://${server.address}` as const;
    return { handles: [await connect(url), await connect(url)], close: () => server.close() };
  });
});
