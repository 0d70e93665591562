import { openHandle } from "./api/index.ts";
import type { Held, UnumHandle } from "./api/index.ts";
import { EngineNode, openEtcdEngine, openZooKeeperEngine, parseEngineUrl } from "./backends/index.ts";
import type { Engine } from "./backends/index.ts";
import { Prng, UnumError, hexEncode, resolveOptions } from "./base/index.ts";
import { NodeClock, NodeHttpDialer, NodeRandom, NodeScope, NodeStreams } from "./platform/node/index.ts";
import { silentLogger } from "./ports/index.ts";
import type { Address, Logger, Stream } from "./ports/index.ts";
import type { ConnectOptions } from "./remote.ts";
import { directCarrierPair } from "./wire/index.ts";

const etcdPort = 2379;
const zooKeeperPort = 2181;
const zooKeeperRoot = "/unum";

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

/** A handle over a ZooKeeper, its keys below the path of `url`. Throws INVALID_ARGUMENT. */
export function connectZooKeeper(url: string, options: ConnectOptions): UnumHandle {
  const { endpoints, password, path, user } = parseEngineUrl(url, zooKeeperPort);
  if ((user === undefined) !== (password === undefined))
    throw new UnumError("INVALID_ARGUMENT", "A user has a password: zookeeper://user:password@host:port.");
  if (path !== "" && !/^(\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+$/.test(path))
    throw new UnumError("INVALID_ARGUMENT", `"${path}" is no path to keep keys below: write /name, of letters, digits, "_", "-" and ".".`);
  const credentials = user === undefined || password === undefined ? undefined : { user, password };
  const clock = new NodeClock();
  const logger = options.logger ?? silentLogger;
  const engine = openZooKeeperEngine({
    endpoints,
    root: path === "" ? zooKeeperRoot : path,
    dial: zooKeeperDial(options.tls),
    clock,
    prng: new Prng(hexEncode(new NodeRandom().bytes(16))),
    logger,
    credentials,
  });
  return open(engine, clock, logger, options);
}

function zooKeeperDial(tls: ConnectOptions["tls"]): (address: Address, timeoutMs: number) => Promise<Stream> {
  // Node takes an empty text for none.
  const shown = { authority: tls?.authority, certificate: tls?.certificate ?? "", key: tls?.key ?? "" };
  const streams = new NodeStreams(tls === undefined ? {} : { secure: { ...shown, dialerRequired: false, verified: true } });
  return (address, timeoutMs) => streams.dial(address, { timeoutMs, purpose: "client" });
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
