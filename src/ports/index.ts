export type { Checksum } from "./checksum.ts";
export type { Clock, Timer } from "./clock.ts";
export type { Digest, Digests } from "./digest.ts";
export { DiskError } from "./disk.ts";
export type { Disk, DiskErrorCode, File } from "./disk.ts";
export type { Http, HttpExchange, HttpFields, HttpHandlers, HttpListener, HttpOptions, HttpSecurity } from "./http.ts";
export type {
  HttpAnswerHandlers,
  HttpConnection,
  HttpDialer,
  HttpDialOptions,
  HttpRequest,
  HttpTrust,
} from "./http-client.ts";
export { silentLogger } from "./logger.ts";
export type { Logger } from "./logger.ts";
export type { Child, ChildExit, FileSink, Files, Input, Output, Processes, RunRequest, Signal, SpawnRequest } from "./process.ts";
export type { Names } from "./names.ts";
export type { Random } from "./random.ts";
export type { Scope, Surroundings } from "./scope.ts";
export { StreamError, formatAddress, parseAddress } from "./stream.ts";
export type { Address, Listener, Stream, StreamErrorCode, StreamHandlers, StreamPurpose, StreamSecurity, Streams } from "./stream.ts";
import type { Probe } from "../base/index.ts";
import type { Checksum } from "./checksum.ts";
import type { Clock } from "./clock.ts";
import type { Disk } from "./disk.ts";
import type { Logger } from "./logger.ts";
import type { Names } from "./names.ts";
import type { Random } from "./random.ts";
import type { Streams } from "./stream.ts";

/** Everything a node needs from outside. Only a root (`src/index.ts`, the CLI, the simulator) makes one. */
export interface Platform {
  readonly clock: Clock;
  readonly random: Random;
  readonly disk: Disk;
  readonly streams: Streams;
  readonly names: Names;
  readonly checksum: Checksum;
  readonly logger: Logger;
  /** Who counts rare states, in simulations. */
  readonly probe?: Probe | undefined;
}
