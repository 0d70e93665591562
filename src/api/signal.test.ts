import { expect, it } from "vitest";
import { SharedSignal } from "./signal.ts";

it("a crowd that listens to one session is one listener on the platform's signal: Node would warn of a leak", () => {
  const controller = new AbortController();
  let listeners = 0;
  const inner = {
    get aborted() {
      return controller.signal.aborted;
    },
    get reason(): unknown {
      return controller.signal.reason;
    },
    addEventListener: (type: "abort", listener: () => void) => {
      listeners++;
      controller.signal.addEventListener(type, listener);
    },
    removeEventListener: () => undefined,
  };
  const shared = new SharedSignal(inner);
  const told: number[] = [];
  const callbacks = Array.from({ length: 30 }, (_, at) => () => void told.push(at));
  for (const callback of callbacks) shared.addEventListener("abort", callback);
  shared.removeEventListener("abort", callbacks[7] as () => void);
  expect([listeners, shared.aborted]).toEqual([1, false]);
  controller.abort("over");
  expect([shared.aborted, shared.reason]).toEqual([true, "over"]);
  expect(told).toEqual(callbacks.map((_, at) => at).filter((at) => at !== 7));
});
