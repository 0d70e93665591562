/**
 * Which ranges hold a key: a treap ordered by where a range begins, each node knowing the furthest
 * end below it. Opening, closing and asking take logarithmic time (plus the answers). Its
 * shape comes from a hash of the ranges, so that no generator is needed and no order of opening is bad.
 */
interface Node<T> {
  readonly from: string;
  /** undefined: beyond every key. */
  readonly to: string | undefined;
  readonly priority: number;
  readonly items: Set<T>;
  furthest: string | undefined;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
}

function priorityOf(from: string, to: string | undefined): number {
  let hash = to === undefined ? 7 : 11;
  for (const text of [from, to ?? ""]) {
    for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  }
  return (hash ^ (hash >>> 13)) >>> 0;
}

function isBeyond(end: string | undefined, key: string): boolean {
  return end === undefined || end > key;
}

/** Orders by beginning, then by end, an open end last. */
function compareRanges(from: string, to: string | undefined, node: Node<unknown>): number {
  if (from !== node.from) return from < node.from ? -1 : 1;
  if (to === node.to) return 0;
  if (to === undefined) return 1;
  if (node.to === undefined) return -1;
  return to < node.to ? -1 : 1;
}

function update<T>(node: Node<T>): Node<T> {
  let furthest = node.to;
  for (const child of [node.left, node.right]) {
    if (child === undefined || furthest === undefined) continue;
    if (child.furthest === undefined || child.furthest > furthest) furthest = child.furthest;
  }
  node.furthest = furthest;
  return node;
}

function rotateRight<T>(node: Node<T>, left: Node<T>): Node<T> {
  node.left = left.right;
  left.right = update(node);
  return update(left);
}

function rotateLeft<T>(node: Node<T>, right: Node<T>): Node<T> {
  node.right = right.left;
  right.left = update(node);
  return update(right);
}

function insert<T>(node: Node<T> | undefined, from: string, to: string | undefined, item: T): Node<T> {
  if (node === undefined) {
    return { from, to, priority: priorityOf(from, to), items: new Set([item]), furthest: to, left: undefined, right: undefined };
  }
  const order = compareRanges(from, to, node);
  if (order === 0) {
    node.items.add(item);
    return node;
  }
  if (order < 0) {
    const left = insert(node.left, from, to, item);
    node.left = left;
    return left.priority > node.priority ? rotateRight(node, left) : update(node);
  }
  const right = insert(node.right, from, to, item);
  node.right = right;
  return right.priority > node.priority ? rotateLeft(node, right) : update(node);
}

function merge<T>(left: Node<T> | undefined, right: Node<T> | undefined): Node<T> | undefined {
  if (left === undefined) return right;
  if (right === undefined) return left;
  if (left.priority > right.priority) {
    left.right = merge(left.right, right);
    return update(left);
  }
  right.left = merge(left, right.left);
  return update(right);
}

function remove<T>(node: Node<T> | undefined, from: string, to: string | undefined, item: T): Node<T> | undefined {
  if (node === undefined) return undefined;
  const order = compareRanges(from, to, node);
  if (order === 0) {
    node.items.delete(item);
    return node.items.size === 0 ? merge(node.left, node.right) : node;
  }
  if (order < 0) node.left = remove(node.left, from, to, item);
  else node.right = remove(node.right, from, to, item);
  return update(node);
}

function visit<T>(node: Node<T> | undefined, key: string, each: (item: T) => void): void {
  if (node === undefined || !isBeyond(node.furthest, key)) return;
  visit(node.left, key, each);
  if (key < node.from) return;
  if (isBeyond(node.to, key)) for (const item of node.items) each(item);
  visit(node.right, key, each);
}

export class Intervals<T> {
  private root: Node<T> | undefined;

  get isEmpty(): boolean {
    return this.root === undefined;
  }

  add(from: string, to: string | undefined, item: T): void {
    this.root = insert(this.root, from, to, item);
  }

  remove(from: string, to: string | undefined, item: T): void {
    this.root = remove(this.root, from, to, item);
  }

  /** Each item whose range holds `key`; in no order that means anything. */
  stab(key: string, each: (item: T) => void): void {
    visit(this.root, key, each);
  }
}
