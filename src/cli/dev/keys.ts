/** What a key asks of `unum dev`. */
export type KeyAction =
  | { readonly kind: "kill-leader" }
  /** Kill the node, or restart it when it is down. Counted from 0. */
  | { readonly kind: "toggle"; readonly at: number }
  | { readonly kind: "pause" }
  | { readonly kind: "bench" }
  | { readonly kind: "quit" };

/** Undefined for keys that mean nothing. Ctrl-C and Ctrl-D quit: in raw mode nobody else hears them. */
export function keyAction(key: string, nodes: number): KeyAction | undefined {
  if (key === "q" || key === "Q" || key === "\u0003" || key === "\u0004") return { kind: "quit" };
  if (key === "k" || key === "K") return { kind: "kill-leader" };
  if (key === "p" || key === "P") return { kind: "pause" };
  if (key === "b" || key === "B") return { kind: "bench" };
  if (/^[1-9]$/.test(key) && Number(key) <= nodes) return { kind: "toggle", at: Number(key) - 1 };
  return undefined;
}
