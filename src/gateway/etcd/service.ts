import type { RawHandle, RawKeyspace } from "../../api/index.ts";
import type { CallOptions } from "../../api/index.ts";
import type { Clock, Digests, Logger, Random } from "../../ports/index.ts";
import type { Access } from "./auth/access.ts";
import type { Call } from "./grpc/index.ts";
import type { GrpcError } from "../../etcd/index.ts";

export interface HeaderFields {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly revision: bigint;
  readonly raftTerm: bigint;
}

/** What every service of the gateway stands on. A service is one file with a function that makes its methods from this. */
export interface Ground {
  readonly handle: RawHandle;
  /** The default keyspace: what etcd's clients see. */
  readonly kv: RawKeyspace;
  readonly clock: Clock;
  readonly random: Random;
  readonly digests: Digests;
  readonly logger: Logger;
  readonly access: Access;
  /** Of the URLs under which nodes are listed. */
  readonly peerScheme: "http" | "https";
  /** Operations in a transaction. */
  readonly txnOperationsMax: number;
  /** How often a quiet watch that asked for it is told how far it is. */
  readonly progressEveryMs: number;
  /** The header of an answer that saw the store at this revision. */
  header(revision: number): HeaderFields;
  /** How long a call to the cluster may take: etcd's own limit, or what is left to the client if that is less. */
  within(call: Call): CallOptions;
  toStatus(failure: unknown): GrpcError;
  /**
   * For a call whose client wants to be served only while there is a leader (`hasleader`): throws when there is none now, and
   * calls back when there is none for a while. Returns how to take that back.
   */
  leaderRequired(call: Call, lost: (error: GrpcError) => void): () => void;
}
