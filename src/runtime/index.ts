export { UnumNode } from "./node.ts";
export { checkOptions, featureLevel } from "./options.ts";
export type { NodeOptions } from "./options.ts";
