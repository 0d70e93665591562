import type { Describable } from "../base/index.ts";
import { StreamError, formatAddress } from "../ports/index.ts";
import type { Address, Listener, Stream, StreamPurpose, Streams } from "../ports/index.ts";
import type { HostState, SimHost } from "./host.ts";
import type { SimNetwork } from "./network.ts";
import { SimStream } from "./stream.ts";

const firstFreePort = 32_768;

/** One host's TCP: its listeners and its ends of connections. A crash of the host takes them all. */
export class SimStreams implements Streams, Describable {
  readonly host: SimHost;
  private readonly network: SimNetwork;
  private readonly listeners = new Map<number, (stream: Stream) => void>();
  private readonly ends = new Set<SimStream>();
  private nextPort = firstFreePort;

  constructor(network: SimNetwork, host: SimHost) {
    this.network = network;
    this.host = host;
    host.observe((state) => this.onState(state));
  }

  listen(address: Address, accept: (stream: Stream) => void): Promise<Listener> {
    const port = address.port === 0 ? this.freePort() : address.port;
    if (this.listeners.has(port))
      return Promise.reject(new StreamError("in-use", `${formatAddress({ host: address.host, port })} is taken`));
    this.listeners.set(port, accept);
    const close = (): Promise<void> => {
      if (this.listeners.get(port) === accept) this.listeners.delete(port);
      return Promise.resolve();
    };
    return Promise.resolve({ address: { host: address.host, port }, close });
  }

  dial(address: Address, options: { readonly timeoutMs: number; readonly purpose: StreamPurpose }): Promise<Stream> {
    const { host, network } = this;
    const text = formatAddress(address);
    return new Promise((resolve, reject) => {
      const life = host.life;
      let over = false;
      const fail = (code: "unreachable" | "timeout" | "refused", why: string): void => {
        if (over) return;
        over = true;
        timer.cancel();
        reject(new StreamError(code, `${text} ${why}`));
      };
      const timer = host.schedule(options.timeoutMs * 1000, "dial timeout", () =>
        fail("timeout", `did not answer within ${options.timeoutMs} ms`),
      );
      const target = network.resolve(address.host, this);
      if (target === undefined) {
        host.schedule(0, "dial", () => fail("unreachable", "is not known"));
        return;
      }
      const wanted = (): boolean => !over && host.life === life && host.alive;
      network.knock(host.name, target, `${host.name} dials ${text}`, wanted, () => {
        const end = target.answer(this, address.port, options.purpose);
        network.knock(
          target.host.name,
          this,
          `${target.host.name} answers ${host.name}`,
          () => true,
          () => {
            if (end !== undefined && !wanted()) end.destroy();
            else if (wanted()) {
              host.schedule(0, end === undefined ? "refused" : "connected", () => {
                if (end === undefined) fail("refused", "refuses connections");
                if (over) return end?.destroy();
                over = true;
                timer.cancel();
                if (end !== undefined) resolve(end);
              });
            }
          },
        );
      });
    });
  }

  /** A first packet for `port` arrived: the caller's end of a new connection, or undefined when nobody listens. */
  answer(caller: SimStreams, port: number, purpose: StreamPurpose): SimStream | undefined {
    const accept = this.host.alive ? this.listeners.get(port) : undefined;
    if (accept === undefined) return undefined;
    const near = new SimStream(this.network, caller.host, this.host, formatAddress({ host: this.host.name, port }), purpose, caller.ends);
    const far = new SimStream(
      this.network,
      this.host,
      caller.host,
      formatAddress({ host: caller.host.name, port: caller.freePort() }),
      purpose,
      this.ends,
    );
    near.connect(far);
    far.connect(near);
    this.host.schedule(0, `accepts ${far.peer}`, () => {
      if (this.listeners.get(port) === accept) accept(far);
      else far.destroy();
    });
    return near;
  }

  resetTo(name: string): void {
    for (const end of [...this.ends])
      if (end.remote.name === name) end.breakOff(new StreamError("reset", `connection to ${end.peer} was reset`));
  }

  private freePort(): number {
    do this.nextPort = this.nextPort >= 65_535 ? firstFreePort : this.nextPort + 1;
    while (this.listeners.has(this.nextPort));
    return this.nextPort;
  }

  private onState(state: HostState): void {
    if (state !== "down" && state !== "off") return;
    this.listeners.clear();
    for (const end of [...this.ends]) end.die(state === "down");
  }

  describe(): string {
    return `${this.host.describe()}; listens on ${[...this.listeners.keys()].join(", ") || "nothing"}; ${this.ends.size} connections`;
  }
}
