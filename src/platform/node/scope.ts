import { AsyncLocalStorage } from "node:async_hooks";
import type { Scope } from "../../ports/index.ts";

/** Follows code through promises, timers and events. */
export class NodeScope<T extends object> implements Scope<T> {
  private readonly storage = new AsyncLocalStorage<T>();

  run<R>(value: T, work: () => R): R {
    return this.storage.run(value, work);
  }

  current(): T | undefined {
    return this.storage.getStore();
  }
}
