export { Connection } from "./connection.ts";
export type { ConnectionHost } from "./connection.ts";
