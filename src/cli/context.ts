import type { OptionInput } from "../base/index.ts";
import type {
  Address,
  Clock,
  Files,
  HttpSecurity,
  Input,
  Logger,
  Output,
  Processes,
  Random,
  StreamSecurity,
  Streams,
} from "../ports/index.ts";
import type { Client } from "./client.ts";

/** Everything a command touches. `main.ts` builds the real one; tests build their own. */
export interface CliContext {
  readonly version: string;
  /** Data for the next program, and nothing else. */
  readonly stdout: Output;
  /** Everything for people. */
  readonly stderr: Output;
  readonly stdin: Input;
  readonly clock: Clock;
  readonly random: Random;
  readonly processes: Processes;
  readonly files: Files;
  /** Only to find out whether a port is free. */
  readonly streams: Pick<Streams, "listen">;
  connect(endpoints: readonly string[], options?: ConnectOptions): Promise<Client>;
  start(options: StartRequest): Promise<RunningNode>;
  /** The version of etcd that its clients are told. */
  etcdVersion(): Promise<string>;
  /** A new key, and a certificate for these hosts that it signed itself, as PEM texts. */
  selfSigned(hosts: readonly string[], years: number): Promise<{ readonly certificate: string; readonly key: string }>;
  readonly offline: Offline;
}

export type StartRequest = OptionInput & { readonly logger: Logger; readonly etcdServer?: EtcdServer | undefined };

/** A node in the place of an etcd server: what its flags say beyond a node's options. */
export interface EtcdServer {
  /** At least one. */
  readonly doors: readonly { readonly listen: Address; readonly secure: HttpSecurity | undefined; readonly probesOnly: boolean }[];
  readonly electionMs: number;
  /** TLS between nodes. */
  readonly peers: StreamSecurity | undefined;
  readonly settings: {
    /** How the member list writes where nodes listen. */
    readonly peerScheme: "http" | "https";
    readonly clientUrls: readonly string[];
    readonly txnOperationsMax: number;
    readonly messageBytesMax: number;
    readonly progressEveryMs: number;
    readonly compaction:
      | { readonly mode: "periodic"; readonly retentionMs: number }
      | { readonly mode: "revision"; readonly revisions: number }
      | undefined;
  };
}

export interface ConnectOptions {
  /** Milliseconds that a call may take unless it says otherwise. */
  readonly timeout?: number | undefined;
  /** Every request goes to this endpoint alone, which passes it on if it must: no fail-over, no direct way to the leader. */
  readonly pinned?: boolean | undefined;
}

/** A node in this process. */
export interface RunningNode {
  readonly ready: Promise<void>;
  /** Fulfils after `close`; rejects when the node had to stop. */
  readonly closed: Promise<void>;
  close(): Promise<void>;
  /** The name and the address that it really has. */
  describe(): Promise<{ readonly name: string; readonly address: string }>;
}

/** Operations on the data directory of a node that does not run. */
export interface Offline {
  /** Fills an empty directory from a backup: a cluster of one with a new id, which others may join. */
  restore(request: RestoreRequest): Promise<RestoreReport>;
  /** What `recover` would do to a directory. Changes nothing. */
  planRecovery(request: { readonly data: string }): Promise<RecoveryPlan>;
  /** Makes the survivor of a lost majority a cluster of one. Fulfils with where the old directory is kept. */
  recover(request: { readonly data: string }): Promise<{ readonly kept: string }>;
}

export interface RestoreRequest {
  readonly backup: AsyncIterable<Uint8Array>;
  readonly data: string;
  readonly name: string | undefined;
  readonly advertise: string | undefined;
}

export interface RestoreReport {
  readonly cluster: string;
  readonly keyspaces: readonly { readonly name: string; readonly revision: number; readonly keys: number }[];
}

export interface RecoveryPlan {
  readonly cluster: string;
  readonly name: string;
  readonly groups: readonly {
    readonly group: number;
    readonly name: string;
    readonly lastTerm: number;
    readonly lastIndex: number;
    readonly commit: number;
    readonly revision: number;
    /** Names of the voters that are given up. */
    readonly votersLost: readonly string[];
  }[];
  /** Names of keyspaces without a copy in this directory: they are given up as a whole. */
  readonly keyspacesLost: readonly string[];
}
