import { openHandle } from "./api/index.ts";
import type { Held, UnumHandle } from "./api/index.ts";
import { EngineNode, openEtcdEngine, parseEngineUrl } from "./backends/index.ts";
import type { Engine } from "./backends/index.ts";
import { Prng, UnumError, hexEncode, resolveOptions } from "./base/index.ts";
import { NodeClock, NodeHttpDialer, NodeRandom, NodeScope } from "./platform/node/index.ts";
import { silentLogger } from "./ports/index.ts";
import type { Logger } from "./ports/index.ts";
import type { ConnectOptions } from "./remote.ts";
import { directCarrierPair } from "./wire/index.ts";

const etcdPort = 2379;

/** A handle over an etcd. Throws INVALID_ARGUMENT. */
export function connectEtcd(url: string, options: ConnectOptions): UnumHandle {
  const { endpoints, password, path, user } = parseEngineUrl(url, etcdPort);
  if (path !== "") throw new UnumError("INVALID_ARGUMENT", "An etcd's address has no path; use kv.prefix(…) to divide its keys.");
  if ((user === undefined) !== (password === undefined))
    throw new UnumError("INVALID_ARGUMENT", "A user has a password: etcd://user:password@host:port.");
  const credentials = user === undefined || password === undefined ? undefined : { user, password };
  const clock = new NodeClock();
  const logger = options.logger ?? silentLogger;
  const dialer = new NodeHttpDialer();
  return open(openEtcdEngine({ endpoints, dialer, secure: options.tls, clock, logger, credentials }), clock, logger, options);
}

/** The handle's only node stands in this process, and there is no second way to it. */
function open(engine: Engine, clock: NodeClock, logger: Logger, options: ConnectOptions): UnumHandle {
  const { timeout } = resolveOptions("client", { timeout: options.timeout }, process.env);
  return openHandle(
    {
      clock,
      prng: new Prng(hexEncode(new NodeRandom().bytes(16))),
      logger,
      scope: new NodeScope<Held>(),
      dial: () => {
        const [near, far] = directCarrierPair((callback) => clock.defer(callback), ["handle", engine.name]);
        new EngineNode(engine, clock, far);
        return Promise.resolve(near);
      },
    },
    { endpoints: ["local"], timeout, name: options.name, direct: false, onClose: () => engine.close() },
  );
}
