/** Unum's handle over a real etcd of three members. */
import { describe } from "vitest";
import { claimsContract } from "../../src/api/claims.contract.ts";
import { handleContract } from "../../src/api/handle.contract.ts";
import type { UnumHandle } from "../../src/index.ts";
import { connect } from "../../src/index.ts";
import { etcdPath } from "../support/etcd.ts";
import { programs, startServers } from "../support/etcd-server.ts";

const lacks = { keyspaces: /one keyspace/ };

/** The client's way through Unum's own gateway: both sides of one protocol. */
handleContract(
  "etcd, spoken by Unum",
  async () => {
    const { close, endpoints } = await startServers(programs["unum"] as readonly string[], 3);
    const handle = (await connect(`etcd://${endpoints.join(",")}`)) as UnumHandle;
    return { handle, close };
  },
  lacks,
);

describe.skipIf(etcdPath === undefined)("over a real etcd", () => {
  const start = () => startServers([etcdPath as string], 3);

  handleContract(
    "etcd, three members",
    async () => {
      const { close, endpoints } = await start();
      const handle = (await connect(`etcd://${endpoints.join(",")}`)) as UnumHandle;
      return { handle, close };
    },
    lacks,
  );

  claimsContract("etcd, three members", async () => {
    const { close, endpoints } = await start();
    const url = `etcd://${endpoints.join(",")}` as const;
    return { handles: [await connect(url), await connect(url)], close };
  });
});
