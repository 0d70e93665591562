import { StreamError } from "../../ports/index.ts";
import type { CliContext } from "../context.ts";
import { Failure } from "../failure.ts";

export const localHost = "127.0.0.1";

/** The first run of `count` free ports from `wanted` on. */
export async function freePorts(context: Pick<CliContext, "streams">, wanted: number, count: number): Promise<number> {
  let first = wanted;
  let found = 0;
  for (let port = wanted; port <= 65_535; port++) {
    if (await isFree(context, port)) {
      found++;
      if (found === count) return first;
    } else {
      first = port + 1;
      found = 0;
    }
    if (port - wanted > 2000) break;
  }
  throw new Failure("PORT_IN_USE", `no ${count} free ports in a row from ${wanted} on`);
}

export async function isFree(context: Pick<CliContext, "streams">, port: number): Promise<boolean> {
  try {
    const listener = await context.streams.listen({ host: localHost, port }, (stream) => stream.destroy());
    await listener.close();
    return true;
  } catch (error) {
    if (error instanceof StreamError) return false;
    throw error;
  }
}
