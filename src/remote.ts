import { openHandle } from "./api/index.ts";
import type { Held, Unum } from "./api/index.ts";
import { Prng, UnumError, hexEncode, resolveOptions } from "./base/index.ts";
import { NodeClock, NodeRandom, NodeScope, NodeStreams } from "./platform/node/index.ts";
import { parseAddress, silentLogger } from "./ports/index.ts";
import type { Logger } from "./ports/index.ts";
import { StreamCarrier } from "./wire/index.ts";

export interface ConnectOptions {
  /** Of calls that name none: milliseconds or "10s". Default 10 s. */
  readonly timeout?: number | string | undefined;
  /** Shown by the nodes; for people. */
  readonly name?: string | undefined;
  /** Every request goes to the endpoints given, which pass it on; the handle opens no connection to other members. */
  readonly pinned?: boolean | undefined;
  readonly logger?: Logger | undefined;
  /** To an engine that is no Unum: TLS, with whom to trust and what to show, as PEM texts. Default: clear text. */
  readonly tls?:
    | { readonly authority?: string | undefined; readonly certificate?: string | undefined; readonly key?: string | undefined }
    | undefined;
}

/** "unum://host:port" to "host:port". Throws INVALID_ARGUMENT. */
function endpointOf(url: string): string {
  const endpoint = url.startsWith("unum://") ? url.slice("unum://".length).replace(/\/$/, "") : url;
  if (parseAddress(endpoint) === undefined) {
    const other = /^[a-z]+:\/\//.exec(url)?.[0];
    throw new UnumError(
      "INVALID_ARGUMENT",
      other === undefined || other === "unum://"
        ? `"${url}" is no endpoint; write unum://host:port.`
        : `"${other}" is no engine that this version knows; it connects to unum://, etcd:// and zookeeper://, one engine at a time.`,
    );
  }
  return endpoint;
}

export function connectRemote(urls: readonly string[], options: ConnectOptions): Unum {
  const { timeout } = resolveOptions("client", { timeout: options.timeout }, process.env);
  const endpoints = urls.map(endpointOf);
  const clock = new NodeClock();
  const streams = new NodeStreams();
  return openHandle(
    {
      clock,
      prng: new Prng(hexEncode(new NodeRandom().bytes(16))),
      logger: options.logger ?? silentLogger,
      scope: new NodeScope<Held>(),
      dial: async (endpoint, timeoutMs) => {
        const address = parseAddress(endpoint);
        if (address === undefined) throw new UnumError("INVALID_ARGUMENT", `"${endpoint}" is no address.`);
        try {
          return new StreamCarrier(await streams.dial(address, { timeoutMs, purpose: "client" }), (callback) => clock.deferLast(callback));
        } catch (cause) {
          throw new UnumError("UNAVAILABLE", `No node answers at ${endpoint}.`, { cause });
        }
      },
    },
    { endpoints, timeout, name: options.name, direct: options.pinned !== true },
  );
}
