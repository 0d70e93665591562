/**
 * Cancellation, as the web platform has it. These layers are compiled without the platform's types,
 * so the shapes that are needed are written down here; the real classes have them.
 */
export interface AbortSignalLike {
  readonly aborted: boolean;
  readonly reason: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** The platform's own `AbortSignal` where its types are known (in a user's program), else what we need of it. */
export type Signal = typeof globalThis extends { AbortSignal: { prototype: infer S } } ? S : AbortSignalLike;

export interface AbortControllerLike {
  readonly signal: Signal;
  abort(reason: unknown): void;
}

declare const AbortController: new () => AbortControllerLike;

export function makeAbortController(): AbortControllerLike {
  return new AbortController();
}

/**
 * The same signal for many who listen: on the platform's own, a crowd of listeners looks like a leak, and Node.js writes a warning to the
 * user's terminal.
 */
export class SharedSignal implements AbortSignalLike {
  private readonly inner: AbortSignalLike;
  private readonly listeners = new Set<() => void>();

  constructor(inner: AbortSignalLike) {
    this.inner = inner;
    inner.addEventListener("abort", () => {
      for (const listener of [...this.listeners]) listener();
      this.listeners.clear();
    });
  }

  get aborted(): boolean {
    return this.inner.aborted;
  }

  get reason(): unknown {
    return this.inner.reason;
  }

  addEventListener(_type: "abort", listener: () => void): void {
    this.listeners.add(listener);
  }

  removeEventListener(_type: "abort", listener: () => void): void {
    this.listeners.delete(listener);
  }
}
