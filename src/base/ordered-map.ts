import { assert } from "./assert.ts";

/**
 * An ordered map from byte strings (latin1, so that JavaScript's order is the unsigned byte order)
 * to values: a B+tree whose inner nodes know how many entries lie below them.
 *
 * `clone()` takes constant time: both maps share their nodes, and each copies a node before it first
 * writes to it. Invariant: a map writes only to nodes that carry its own token.
 */
type Token = object;

interface Leaf<V> {
  token: Token;
  readonly children: undefined;
  keys: string[];
  values: V[];
  count: number;
}

interface Inner<V> {
  token: Token;
  readonly children: Node<V>[];
  /** The first key of each child but the first: child i holds keys from keys[i - 1] on and below keys[i]. */
  keys: string[];
  values: undefined;
  count: number;
}

type Node<V> = Leaf<V> | Inner<V>;

const nodeMax = 64;
/** A node below this looks for a neighbour to merge with; what both hold must leave room to grow. */
const nodeMin = 16;
const mergedMax = 48;
/** No map has more: for each new level there were at least 32 splits on the one below. */
const levelsMax = 16;

/** The first position in `keys` whose key is not below `key`. */
function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Which child of an inner node holds `key`: the number of separators at or below it. */
function childOf(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as string) <= key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Twice as fast as `splice` on arrays this short, which also makes an array of what it removed. */
function insertAt<T>(array: T[], at: number, item: T): void {
  array.push(item);
  for (let i = array.length - 1; i > at; i--) array[i] = array[i - 1] as T;
  array[at] = item;
}

/** The second half of a node that was split, and its first key. */
interface Split<V> {
  readonly key: string;
  readonly node: Node<V>;
}

export class OrderedMap<V> {
  private token: Token = {};
  private root: Node<V>;
  /** Where the last `get` ended, on the key or where it would be: lets `setFound` skip a second descent. */
  private foundLeaf: Leaf<V> | undefined;
  private foundAt = 0;
  /** Which child the last `get` took on each level. */
  private readonly path = new Uint8Array(levelsMax);

  constructor(root?: Node<V>) {
    this.root = root ?? { token: this.token, children: undefined, keys: [], values: [], count: 0 };
  }

  get size(): number {
    return this.root.count;
  }

  get(key: string): V | undefined {
    let node = this.root;
    for (let level = 0; node.children !== undefined; level++) {
      const child = childOf(node.keys, key);
      this.path[level] = child;
      node = node.children[child] as Node<V>;
    }
    const at = lowerBound(node.keys, key);
    this.foundLeaf = node;
    this.foundAt = at;
    return node.keys[at] === key ? node.values[at] : undefined;
  }

  /** Whether `key` is above all others: one comparison instead of a descent. If so, it was looked for as by `get`. */
  isBeyond(key: string): boolean {
    let node = this.root;
    for (let level = 0; node.children !== undefined; level++) {
      const child = node.children.length - 1;
      this.path[level] = child;
      node = node.children[child] as Node<V>;
    }
    const isBeyond = node.count === 0 || (node.keys[node.count - 1] as string) < key;
    this.foundLeaf = isBeyond ? node : undefined;
    this.foundAt = node.count;
    return isBeyond;
  }

  /** `set` of the key that the last `get` looked for, found or not, without a second descent. Nothing may have been written since. */
  setFound(key: string, value: V): void {
    const leaf = this.foundLeaf;
    const at = this.foundAt;
    if (leaf === undefined) this.set(key, value);
    else if (leaf.keys[at] === key) {
      if (leaf.token === this.token) leaf.values[at] = value;
      else this.set(key, value);
    } else if (leaf.count < nodeMax) this.insertFound(key, value);
    else this.set(key, value);
  }

  /** Into the leaf where the last `get` ended, which has room. */
  private insertFound(key: string, value: V): void {
    const { foundAt, foundLeaf } = this;
    const before = foundLeaf?.keys[foundAt - 1];
    const after = foundLeaf?.keys[foundAt];
    assert((before === undefined || before < key) && (after === undefined || key < after), "the key was looked for last");
    this.foundLeaf = undefined;
    this.root = this.owned(this.root);
    let node = this.root;
    for (let level = 0; node.children !== undefined; level++) {
      node.count++;
      const at = this.path[level] as number;
      const child = this.owned(node.children[at] as Node<V>);
      node.children[at] = child;
      node = child;
    }
    node.count++;
    insertAt(node.keys, foundAt, key);
    insertAt(node.values, foundAt, value);
  }

  /** Adds or replaces; of equal keys the string that was there first is kept. */
  set(key: string, value: V): void {
    this.foundLeaf = undefined;
    this.root = this.owned(this.root);
    const split = this.insert(this.root, key, value);
    if (split === undefined) return;
    const first = this.root;
    this.root = {
      token: this.token,
      children: [first, split.node],
      keys: [split.key],
      values: undefined,
      count: first.count + split.node.count,
    };
  }

  /** Returns the value that was removed. */
  delete(key: string): V | undefined {
    const value = this.get(key);
    const leaf = this.foundLeaf;
    this.foundLeaf = undefined;
    if (leaf?.keys[this.foundAt] !== key) return undefined;
    this.root = this.owned(this.root);
    this.remove(this.root, key);
    while (this.root.children !== undefined && this.root.children.length === 1) this.root = this.root.children[0] as Node<V>;
    return value;
  }

  /** The same entries, independent from now on, in constant time. */
  clone(): OrderedMap<V> {
    this.token = {};
    this.foundLeaf = undefined;
    return new OrderedMap(this.root);
  }

  /** How many keys are below `key`. */
  rank(key: string): number {
    let below = 0;
    let node = this.root;
    while (node.children !== undefined) {
      const child = childOf(node.keys, key);
      for (let i = 0; i < child; i++) below += (node.children[i] as Node<V>).count;
      node = node.children[child] as Node<V>;
    }
    return below + lowerBound(node.keys, key);
  }

  /** Walks upwards from the first key at or above `from`. Valid until the map is written to. */
  cursor(from: string): MapCursor<V> {
    return new MapCursor(this.root, from);
  }

  private owned(node: Node<V>): Node<V> {
    if (node.token === this.token) return node;
    if (node.children === undefined) {
      return { token: this.token, children: undefined, keys: node.keys.slice(), values: node.values.slice(), count: node.count };
    }
    return { token: this.token, children: node.children.slice(), keys: node.keys.slice(), values: undefined, count: node.count };
  }

  /** `node` is owned. */
  private insert(node: Node<V>, key: string, value: V): Split<V> | undefined {
    if (node.children === undefined) return this.insertIntoLeaf(node, key, value);
    const at = childOf(node.keys, key);
    const child = this.owned(node.children[at] as Node<V>);
    node.children[at] = child;
    const before = child.count;
    const split = this.insert(child, key, value);
    node.count += child.count - before;
    if (split === undefined) return undefined;
    node.count += split.node.count;
    insertAt(node.keys, at, split.key);
    insertAt(node.children, at + 1, split.node);
    return node.children.length > nodeMax ? this.splitInner(node, at + 2 === node.children.length) : undefined;
  }

  private insertIntoLeaf(leaf: Leaf<V>, key: string, value: V): Split<V> | undefined {
    const at = lowerBound(leaf.keys, key);
    if (leaf.keys[at] === key) {
      leaf.values[at] = value;
      return undefined;
    }
    if (leaf.count < nodeMax) {
      insertAt(leaf.keys, at, key);
      insertAt(leaf.values, at, value);
      leaf.count++;
      return undefined;
    }
    // Keys that arrive in order leave full leaves behind.
    if (at === leaf.count) return { key, node: { token: this.token, children: undefined, keys: [key], values: [value], count: 1 } };
    const middle = leaf.count >>> 1;
    const right: Leaf<V> = {
      token: this.token,
      children: undefined,
      keys: leaf.keys.slice(middle),
      values: leaf.values.slice(middle),
      count: leaf.count - middle,
    };
    leaf.keys = leaf.keys.slice(0, middle);
    leaf.values = leaf.values.slice(0, middle);
    leaf.count = middle;
    this.insertIntoLeaf(at > middle ? right : leaf, key, value);
    return { key: right.keys[0] as string, node: right };
  }

  /** `atEnd`: its last child is the new one. Keys that arrive in order leave full nodes behind. */
  private splitInner(node: Inner<V>, atEnd: boolean): Split<V> {
    const middle = atEnd ? node.children.length - 1 : node.children.length >>> 1;
    const children = node.children.splice(middle);
    const keys = node.keys.splice(middle);
    const key = node.keys.pop() as string;
    let count = 0;
    for (const child of children) count += child.count;
    node.count -= count;
    return { key, node: { token: this.token, children, keys, values: undefined, count } };
  }

  /** `node` is owned and holds `key`. */
  private remove(node: Node<V>, key: string): void {
    node.count--;
    if (node.children === undefined) {
      const at = lowerBound(node.keys, key);
      node.keys.splice(at, 1);
      node.values.splice(at, 1);
      return;
    }
    const at = childOf(node.keys, key);
    const child = this.owned(node.children[at] as Node<V>);
    node.children[at] = child;
    this.remove(child, key);
    if (child.keys.length < nodeMin) this.mergeAround(node, at);
  }

  /** Joins the child at `at` with a neighbour when both fit into one node with room to spare. */
  private mergeAround(node: Inner<V>, at: number): void {
    if (at > 0 && this.mergeInto(node, at - 1)) return;
    if (at + 1 < node.children.length) this.mergeInto(node, at);
  }

  private mergeInto(node: Inner<V>, at: number): boolean {
    const left = node.children[at] as Node<V>;
    const right = node.children[at + 1] as Node<V>;
    if (left.keys.length + right.keys.length > mergedMax) return false;
    const merged = this.owned(left);
    if (merged.children === undefined && right.children === undefined) {
      merged.keys.push(...right.keys);
      merged.values.push(...right.values);
    } else if (merged.children !== undefined && right.children !== undefined) {
      merged.keys.push(node.keys[at] as string, ...right.keys);
      merged.children.push(...right.children);
    }
    merged.count += right.count;
    node.children[at] = merged;
    node.children.splice(at + 1, 1);
    node.keys.splice(at, 1);
    return true;
  }
}

/** A position in a map. `key` is undefined behind the last entry. */
export class MapCursor<V> {
  key: string | undefined;
  value: V | undefined;
  private leaf: Leaf<V>;
  private at: number;
  private readonly path: { readonly node: Inner<V>; at: number }[] = [];

  constructor(root: Node<V>, from: string) {
    let node = root;
    while (node.children !== undefined) {
      const at = childOf(node.keys, from);
      this.path.push({ node, at });
      node = node.children[at] as Node<V>;
    }
    this.leaf = node;
    this.at = lowerBound(node.keys, from);
    this.settle();
  }

  next(): void {
    this.at++;
    this.settle();
  }

  private settle(): void {
    while (this.at >= this.leaf.count) {
      const leaf = this.nextLeaf();
      if (leaf === undefined) {
        this.key = undefined;
        this.value = undefined;
        return;
      }
      this.leaf = leaf;
      this.at = 0;
    }
    this.key = this.leaf.keys[this.at];
    this.value = this.leaf.values[this.at];
  }

  private nextLeaf(): Leaf<V> | undefined {
    for (let level = this.path.length - 1; level >= 0; level--) {
      const step = this.path[level] as { readonly node: Inner<V>; at: number };
      if (step.at + 1 >= step.node.children.length) continue;
      step.at++;
      this.path.length = level + 1;
      let node = step.node.children[step.at] as Node<V>;
      while (node.children !== undefined) {
        this.path.push({ node, at: 0 });
        node = node.children[0] as Node<V>;
      }
      return node;
    }
    return undefined;
  }
}
