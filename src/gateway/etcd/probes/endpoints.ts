import { utf8Encode } from "../../../base/index.ts";
import type { HttpExchange, HttpFields } from "../../../ports/index.ts";
import { alarmText, viewOf } from "../maintenance/alarms.ts";
import type { View } from "../maintenance/alarms.ts";
import { AlarmType } from "../../../etcd/index.ts";
import type { Ground } from "../service.ts";
import { etcdClusterVersion, etcdVersion } from "../version.ts";

const text: HttpFields = { "content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff" };
const json: HttpFields = { "content-type": "application/json" };
const metricsText: HttpFields = { "content-type": "text/plain; version=0.0.4; charset=utf-8" };

/** What load balancers, monitors and programs ask in plain HTTP. */
export class Endpoints {
  private readonly ground: Ground;

  constructor(ground: Ground) {
    this.ground = ground;
  }

  /** Whether the path is one of them; then it is answered. */
  accept(exchange: HttpExchange): boolean {
    const [path = "", query = ""] = exchange.path.split("?");
    const answer = this.answerOf(path, query);
    if (answer === undefined) return false;
    exchange.handle({ onData: () => undefined, onEnd: () => undefined, onDrain: () => undefined, onClose: () => undefined });
    if (exchange.method !== "GET" && exchange.method !== "HEAD") {
      exchange.reply(405, { ...text, allow: "GET" }, utf8Encode("Method Not Allowed\n"));
      return true;
    }
    answer().then(
      ({ status, fields, body }) => exchange.reply(status, fields, utf8Encode(body)),
      (error: unknown) => exchange.reply(503, text, utf8Encode(`${this.ground.toStatus(error).message}\n`)),
    );
    return true;
  }

  private answerOf(path: string, query: string): (() => Promise<Answer>) | undefined {
    switch (path) {
      case "/version":
        return async () => ({
          status: 200,
          fields: json,
          body: JSON.stringify({ etcdserver: etcdVersion, etcdcluster: etcdClusterVersion }),
        });
      case "/health":
        return () => this.health(query);
      case "/livez":
        return async () => ({ status: 200, fields: text, body: "ok\n" });
      case "/readyz":
        return () => this.ready();
      case "/metrics":
        return async () => ({ status: 200, fields: metricsText, body: metricsOf(await viewOf(this.ground), this.ground) });
      default:
        return undefined;
    }
  }

  private async health(query: string): Promise<Answer> {
    const parameters = query.split("&").map((pair) => pair.split("="));
    const excluded = new Set(parameters.filter(([name]) => name === "exclude").map(([, value]) => value));
    const isLocal = parameters.some(([name, value]) => name === "serializable" && value === "true");
    const { alarms } = await viewOf(this.ground);
    const counted = alarms.filter(({ alarm }) => !excluded.has(alarm === AlarmType.NOSPACE ? "NOSPACE" : "CORRUPT"));
    const [first] = counted;
    const reason = first === undefined ? await this.failure(isLocal) : `ALARM ${alarmText(first).trim()}`;
    const health = reason === "" ? "true" : "false";
    return { status: reason === "" ? 200 : 503, fields: reason === "" ? json : text, body: JSON.stringify({ health, reason }) };
  }

  private async ready(): Promise<Answer> {
    const reason = await this.failure(false);
    if (reason === "") return { status: 200, fields: text, body: "ok\n" };
    return { status: 503, fields: text, body: `[-]linearizable_read failed: ${reason}\n` };
  }

  /** Why a read does not go through; "" when it does. */
  private async failure(isLocal: boolean): Promise<string> {
    if (!isLocal && this.ground.kv.leader.node === undefined) return "RAFT NO LEADER";
    try {
      await this.ground.kv.query({ kind: "summary" }, () => undefined, { timeout: 1000, consistency: isLocal ? "stale" : "linearizable" });
      return "";
    } catch (error) {
      return `RANGE ERROR:${this.ground.toStatus(error).message}`;
    }
  }
}

interface Answer {
  readonly status: number;
  readonly fields: HttpFields;
  readonly body: string;
}

/** Under etcd's names, so that its dashboards and alerts work. */
function metricsOf({ node, replica, summary }: View, ground: Ground): string {
  const { leader } = ground.kv;
  const lines: string[] = [];
  const metric = (name: string, kind: "gauge" | "counter", help: string, value: number, labels = ""): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`, `${name}${labels} ${value}`);
  };
  metric("etcd_cluster_version", "gauge", "Which version is running.", 1, `{cluster_version="${etcdClusterVersion.slice(0, 3)}"}`);
  metric("etcd_server_version", "gauge", "Which version is running.", 1, `{server_version="${etcdVersion}"}`);
  metric("etcd_server_has_leader", "gauge", "Whether or not a leader exists. 1 is existence, 0 is not.", leader.node === undefined ? 0 : 1);
  metric(
    "etcd_server_is_leader",
    "gauge",
    "Whether or not this member is a leader. 1 if is, 0 otherwise.",
    leader.node === node.node ? 1 : 0,
  );
  metric("etcd_server_is_learner", "gauge", "Whether or not this member is a learner.", replica?.role === "learner" ? 1 : 0);
  metric("etcd_server_proposals_committed_total", "gauge", "The total number of consensus proposals committed.", replica?.commit ?? 0);
  metric("etcd_server_proposals_applied_total", "gauge", "The total number of consensus proposals applied.", replica?.applied ?? 0);
  metric("etcd_mvcc_db_total_size_in_bytes", "gauge", "Memory of the keyspace, history included.", replica?.memoryBytes ?? 0);
  metric("etcd_mvcc_db_total_size_in_use_in_bytes", "gauge", "Bytes of the live entries.", summary?.bytes ?? 0);
  metric("etcd_server_quota_backend_bytes", "gauge", "Current backend storage quota size in bytes.", summary?.maxBytes ?? 0);
  metric("etcd_debugging_mvcc_keys_total", "gauge", "Total number of keys.", summary?.keys ?? 0);
  metric("etcd_debugging_mvcc_watcher_total", "gauge", "Total number of watchers.", summary?.watchers ?? 0);
  metric("etcd_debugging_mvcc_current_revision", "gauge", "The current revision of store.", summary?.revision ?? 0);
  metric("etcd_debugging_mvcc_compact_revision", "gauge", "The revision of the last compaction in store.", summary?.compactRevision ?? 0);
  metric("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", node.memoryBytes);
  return `${lines.join("\n")}\n`;
}
