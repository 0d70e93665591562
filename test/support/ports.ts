/** Ports for nodes that are started, killed and started again, while everybody on the machine takes ports. */
import { once } from "node:events";
import { createServer } from "node:net";

/** Below the range from which systems draw ports for outgoing connections: a port that is free stays so while its node is down. */
const lowest = 12_000;
const count = 18_000;
let last = Math.floor(Math.random() * count);

/** One that is free now, and that neither this process nor, but for bad luck, another one hands out again soon. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 1_000; attempt++) {
    last = (last + 1) % count;
    const port = lowest + last;
    if (await isFree(port)) return port;
  }
  throw new Error("no port is free");
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const refused = new Promise<false>((resolve) => server.once("error", () => resolve(false)));
  server.listen(port, "127.0.0.1");
  if (!(await Promise.race([refused, once(server, "listening").then(() => true)]))) return false;
  server.close();
  await once(server, "close");
  return true;
}
