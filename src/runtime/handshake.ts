import { UnumError } from "../base/index.ts";
import { parseAddress } from "../ports/index.ts";
import type { Clock, Stream, Streams } from "../ports/index.ts";
import { FrameType, StreamCarrier, decodeRefused, decodeWelcome, encodeHello, fromWireError } from "../wire/index.ts";
import type { Carrier, CarrierHandlers, Hello } from "../wire/index.ts";

/** A connection whose other side has introduced itself. */
export interface OpenConnection {
  readonly carrier: Carrier;
  readonly welcome: Hello;
}

/**
 * Dials a node and introduces this one. Rejects with UNAVAILABLE, TIMEOUT or what the other side
 * refused with. The caller sets the carrier's handlers in the turn in which this fulfils.
 */
export async function openConnection(
  environment: { readonly streams: Streams; readonly clock: Clock },
  target: string,
  hello: Hello,
  timeoutMs: number,
): Promise<OpenConnection> {
  const address = parseAddress(target);
  if (address === undefined) throw new UnumError("INVALID_ARGUMENT", `"${target}" is no address; write host:port.`);
  const { clock, streams } = environment;
  const started = clock.now();
  let stream: Stream;
  try {
    stream = await streams.dial(address, { timeoutMs, purpose: hello.purpose });
  } catch (cause) {
    throw new UnumError("UNAVAILABLE", `No node answers at ${target}.`, { cause });
  }
  const carrier = new StreamCarrier(stream, (callback) => clock.deferLast(callback), { lossy: hello.purpose !== "client" });
  const left = Math.max(1, timeoutMs - (clock.now() - started));
  return new Promise((resolve, reject) => {
    const timer = clock.after(left, () => {
      carrier.destroy();
      reject(
        new UnumError("TIMEOUT", `${target} accepted the connection and did not answer in ${timeoutMs} ms.`, {
          outcome: "not-applied",
          retry: "safe",
        }),
      );
    });
    carrier.handle({
      onFrame: (frame) => {
        timer.cancel();
        try {
          if (frame[0] === FrameType.refused) throw fromWireError(decodeRefused(frame));
          const welcome = decodeWelcome(frame);
          // Frames that follow in the same chunk wait for the next owner's handlers.
          const relay = new Relay();
          carrier.handle(relay);
          resolve({ carrier: new RelayedCarrier(carrier, relay), welcome });
        } catch (error) {
          carrier.destroy();
          reject(
            error instanceof UnumError ? error : new UnumError("MALFORMED", `${target} does not speak Unum's protocol.`, { cause: error }),
          );
        }
      },
      onDrain: () => undefined,
      onClose: (reason) => {
        timer.cancel();
        reject(new UnumError("UNAVAILABLE", `${target} closed the connection: ${reason}.`));
      },
    });
    carrier.send(encodeHello(hello));
  });
}

/** Keeps what arrives between the handshake and the moment in which the new owner takes over. */
class Relay implements CarrierHandlers {
  private target: CarrierHandlers | undefined;
  private readonly held: Uint8Array[] = [];
  private closed: string | undefined;

  attach(target: CarrierHandlers): void {
    this.target = target;
    for (const frame of this.held.splice(0)) target.onFrame(frame, true);
    if (this.closed !== undefined) target.onClose(this.closed);
  }

  onFrame(frame: Uint8Array, own: boolean): void {
    if (this.target === undefined) this.held.push(own ? frame : frame.slice());
    else this.target.onFrame(frame, own);
  }

  onDrain(): void {
    this.target?.onDrain();
  }

  onClose(reason: string): void {
    if (this.target === undefined) this.closed = reason;
    else this.target.onClose(reason);
  }
}

class RelayedCarrier implements Carrier {
  private readonly inner: Carrier;
  private readonly relay: Relay;

  constructor(inner: Carrier, relay: Relay) {
    this.inner = inner;
    this.relay = relay;
  }

  get peer(): string {
    return this.inner.peer;
  }

  get incomingBytes(): number {
    return this.inner.incomingBytes;
  }

  get bufferedBytes(): number {
    return this.inner.bufferedBytes;
  }

  handle(handlers: CarrierHandlers): void {
    this.relay.attach(handlers);
  }

  send(frame: Uint8Array, body?: Uint8Array): void {
    this.inner.send(frame, body);
  }

  flush(): void {
    this.inner.flush();
  }

  pause(): void {
    this.inner.pause();
  }

  resume(): void {
    this.inner.resume();
  }

  close(): void {
    this.inner.close();
  }

  destroy(): void {
    this.inner.destroy();
  }
}
