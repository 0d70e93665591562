import type { Clock, HttpExchange, HttpOptions } from "../../ports/index.ts";
import type { Backlog } from "./backlog.ts";
import type { Connection } from "./connection.ts";

/** What a connection needs of whoever listens. */
export interface ConnectionHost {
  readonly clock: Clock;
  readonly options: HttpOptions;
  /** What all connections keep together. */
  readonly backlog: Backlog;
  accept(exchange: HttpExchange): void;
  closed(connection: Connection): void;
}
