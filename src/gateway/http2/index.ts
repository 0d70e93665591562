export { Backlog } from "./backlog.ts";
export { Connection } from "./connection.ts";
export type { ConnectionHost } from "./host.ts";
