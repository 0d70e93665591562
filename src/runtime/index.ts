export { UnumNode } from "./node.ts";
export { checkOptions, featureLevel } from "./options.ts";
export type { NodeObserver, NodeOptions } from "./options.ts";
