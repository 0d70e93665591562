import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startEmbedded } from "../../../embedded.ts";
import type { StartOptions } from "../../../embedded.ts";
import { TestClient } from "./client.contract.ts";

export interface TestGateway {
  readonly port: number;
  readonly client: TestClient;
  close(): Promise<void>;
}

/** One real node with a gateway on a free port, ready to answer, and a client of it. */
export async function startTestGateway(options: StartOptions = {}): Promise<TestGateway> {
  const data = mkdtempSync(join(tmpdir(), "unum-etcd-"));
  const { handle, etcd } = await startEmbedded({ data, listen: "127.0.0.1:0", etcd: "127.0.0.1:0", ...options });
  await handle.ready;
  const port = etcd?.port ?? 0;
  const client = new TestClient(port);
  return {
    port,
    client,
    close: async () => {
      client.close();
      await handle.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}
