/** How the nodes of a cluster reach each other, and how that is broken. Nodes are numbered from 0. */
export interface Wires {
  readonly kind: WiresKind;
  readonly canDelay: boolean;
  /** Where node `node` listens, before it is started. */
  listen(node: number): string;
  /** What others and clients reach it at. */
  address(node: number): string;
  /** What a program is run with so that it runs on that node: words to put before its own. */
  enter(node: number): readonly string[];
  /** Nothing that one node sends reaches the other any more, and nobody is told. */
  block(from: number, to: number): void;
  unblock(from: number, to: number): void;
  /** What one node sends to the other comes so much later; 0: at once. */
  delay(from: number, to: number, ms: number): void;
  /** All connections between the two break at once. */
  reset(from: number, to: number): void;
  close(): Promise<void>;
}

export type WiresKind = "proxies" | "namespaces";
