import type { HandleClock } from "../../api/index.ts";
import type { HttpConnection } from "../../ports/index.ts";

/** etcd takes more pings than one in five seconds for an attack (`--grpc-keepalive-min-time`). */
const silenceMs = 6_000;
const pongMs = 3_000;

/**
 * A connection, and whether its other side still lives: while something is in flight and nothing has come for six seconds it is pinged,
 * and given up when that is not answered within three. A machine that lost its power sends no end.
 *
 * Invariant: `watch` is set exactly while `inFlight` is above zero and the connection lives.
 */
export class Link {
  readonly connection: HttpConnection;
  /** When bytes last came. */
  heardMs: number;
  private readonly clock: HandleClock;
  private inFlight = 0;
  private retired = false;
  private over = false;
  private watch: { cancel(): void } | undefined;

  constructor(connection: HttpConnection, clock: HandleClock) {
    this.connection = connection;
    this.clock = clock;
    this.heardMs = clock.now();
    connection.onClose(() => {
      this.over = true;
      this.watch?.cancel();
    });
  }

  began(): void {
    if (this.inFlight++ > 0 || this.over) return;
    this.heardMs = this.clock.now();
    this.look();
  }

  ended(): void {
    if (--this.inFlight > 0) return;
    this.watch?.cancel();
    this.watch = undefined;
    if (this.retired) this.connection.close();
  }

  heard(): void {
    this.heardMs = this.clock.now();
  }

  /** Takes no new calls; ends when those in flight have, which it may do by falling silent. */
  retire(): void {
    this.retired = true;
    if (this.inFlight === 0) this.connection.close();
  }

  destroy(): void {
    this.watch?.cancel();
    this.connection.destroy();
  }

  private look(): void {
    const leftMs = this.heardMs + silenceMs - this.clock.now();
    if (leftMs > 0) {
      this.watch = this.clock.after(leftMs, () => this.look());
      return;
    }
    const askedMs = this.clock.now();
    this.connection.ping(() => this.heard());
    this.watch = this.clock.after(pongMs, () => (this.heardMs >= askedMs ? this.look() : this.destroy()));
  }
}
