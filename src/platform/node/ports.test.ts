import { checksumContract } from "../../ports/checksum.contract.ts";
import { clockContract } from "../../ports/clock.contract.ts";
import { namesContract } from "../../ports/names.contract.ts";
import { randomContract } from "../../ports/random.contract.ts";
import { streamsContract } from "../../ports/streams.contract.ts";
import { NodeChecksum } from "./checksum.ts";
import { NodeClock } from "./clock.ts";
import { NodeNames } from "./names.ts";
import { NodeRandom } from "./random.ts";
import { NodeStreams } from "./streams.ts";

/** Real time passes by itself: asked again in every turn of the loop, for 10 s at most. */
async function until(done: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  do {
    if (performance.now() > end) throw new Error("it did not happen within 10 s");
    await new Promise((resolve) => setImmediate(resolve));
  } while (!done());
}

clockContract("NodeClock", () => ({ clock: new NodeClock(), until }));
clockContract("NodeClock without hold on the process", () => ({ clock: new NodeClock({ ref: false }), until }));
randomContract("NodeRandom", () => new NodeRandom());
// "localhost" is in every hosts file; ".invalid" never has an address (RFC 6761).
namesContract("NodeNames", () => ({ names: new NodeNames(), known: "localhost", unknown: "nobody.invalid", settle: (promise) => promise }));
checksumContract("NodeChecksum", () => new NodeChecksum());
streamsContract("NodeStreams over IPv4", () => {
  const streams = new NodeStreams();
  // A documentation network (RFC 5737): packets to it are answered by nobody, or at once by "unreachable".
  return {
    server: streams,
    client: streams,
    serverHost: "127.0.0.1",
    purpose: "client",
    until,
    settle: (promise) => promise,
    silentAddress: { host: "192.0.2.1", port: 9 },
  };
});
