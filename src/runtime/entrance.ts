import { MalformedBytes, UnumError } from "../base/index.ts";
import type { NodeId } from "../base/index.ts";
import type { Address, Clock, Listener, Logger, Stream, Streams } from "../ports/index.ts";
import { FrameType, StreamCarrier, decodeHello, encodeRefused, encodeWelcome, negotiate, toWireError } from "../wire/index.ts";
import type { Carrier, ConnectionPurpose, Hello } from "../wire/index.ts";

export interface EntranceOptions {
  readonly streams: Streams;
  readonly clock: Clock;
  readonly logger: Logger;
  hello(purpose: ConnectionPurpose): Hello;
  /** Undefined: welcome. Otherwise why a node with this greeting is refused. */
  refuse(hello: Hello): UnumError | undefined;
  onClient(carrier: Carrier, principal: string): void;
  onNode(node: NodeId, address: string, purpose: ConnectionPurpose, carrier: Carrier): void;
}

/** Whoever connects must say within this time who it is. */
const greetingMs = 5_000;
/** Connections that have not introduced themselves yet. Beyond it the oldest one ends. */
const strangersMax = 256;
const greetingBytesMax = 4 * 1024;

/**
 * The node's door: one port for handles and for other nodes. Until a connection has introduced
 * itself properly it costs one timer and nothing is done for it.
 */
export class Entrance {
  private readonly options: EntranceOptions;
  private listener: Listener | undefined;
  private readonly strangers = new Set<Carrier>();

  constructor(options: EntranceOptions) {
    this.options = options;
  }

  /** Rejects with PORT_IN_USE when the address is taken. Fulfils with the address that was really taken. */
  async listen(address: Address): Promise<Address> {
    try {
      this.listener = await this.options.streams.listen(address, (stream) => this.accept(stream));
    } catch (cause) {
      throw new UnumError(
        "PORT_IN_USE",
        `Cannot listen on ${address.host}:${address.port}: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
    return this.listener.address;
  }

  private accept(stream: Stream): void {
    const { clock } = this.options;
    const carrier = new StreamCarrier(stream, (callback) => clock.deferLast(callback), { frameBytesMax: greetingBytesMax });
    this.admit(carrier, (purpose) => carrier.admit({ lossy: purpose !== "client" }));
  }

  /** A connection, whatever carries it: the handle in this process comes in here, too. */
  admit(carrier: Carrier, introduced: (purpose: ConnectionPurpose) => void = () => undefined): void {
    const { clock } = this.options;
    if (this.strangers.size >= strangersMax) {
      // The oldest has had its chance: whoever says nothing must not keep everybody else out.
      const [oldest] = this.strangers;
      oldest?.destroy();
    }
    this.strangers.add(carrier);
    const timer = clock.after(greetingMs, () => carrier.destroy());
    const known = (): void => {
      timer.cancel();
      this.strangers.delete(carrier);
    };
    carrier.handle({
      onFrame: (frame) => {
        known();
        this.greet(carrier, frame, introduced);
      },
      onDrain: () => undefined,
      onClose: known,
    });
  }

  private greet(carrier: Carrier, frame: Uint8Array, introduced: (purpose: ConnectionPurpose) => void): void {
    try {
      if (frame[0] !== FrameType.hello) throw new MalformedBytes("the first frame is no greeting");
      const hello = decodeHello(frame);
      const ours = this.options.hello(hello.purpose);
      const negotiation = negotiate(ours, hello);
      if (!negotiation.ok) {
        carrier.send(encodeRefused(negotiation.error));
        carrier.close();
        return;
      }
      const refusal = this.options.refuse(hello);
      if (refusal !== undefined) throw refusal;
      if (hello.purpose !== "client" && hello.node === undefined) throw new UnumError("MALFORMED", "Only nodes open such connections.");
      introduced(hello.purpose);
      carrier.send(encodeWelcome(ours));
      if (hello.purpose === "client") this.options.onClient(carrier, hello.node === undefined ? "client" : `node:${hello.node}`);
      else if (hello.node !== undefined) this.options.onNode(hello.node, hello.address, hello.purpose, carrier);
    } catch (error) {
      this.options.logger.debug("a connection was refused", { peer: carrier.peer, error: String(error) });
      carrier.send(encodeRefused(toWireError(error)));
      carrier.close();
    }
  }

  async close(): Promise<void> {
    for (const carrier of this.strangers) carrier.destroy();
    this.strangers.clear();
    await this.listener?.close();
  }
}
