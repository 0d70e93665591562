import type { Command } from "commander";
import type { Client, Store } from "../client.ts";
import { withClusterFlags, withJson } from "../command.ts";
import { Mistake } from "../failure.ts";
import type { ClusterFlags } from "../session.ts";

/** The flags of every `kv` command. */
export interface KvFlags extends ClusterFlags {
  readonly keyspace?: string | undefined;
  readonly json?: boolean | undefined;
}

export function withKvFlags(command: Command): Command {
  return withClusterFlags(
    withJson(command.option("--keyspace <NAME>", "a named keyspace, made on first use (default: the cluster's own)")),
  );
}

export function storeOf(client: Client, flags: KvFlags): Store {
  return flags.keyspace === undefined ? client.kv : client.keyspace(flags.keyspace);
}

/** An empty key is a mistake of the shell (an unset variable), told before anything is sent. */
export function checkKey(key: string): void {
  if (key === "") throw new Mistake("the key is empty", "use 1 to 4096 bytes");
}
