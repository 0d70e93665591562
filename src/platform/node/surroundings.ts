import { AsyncResource } from "node:async_hooks";
import childProcess from "node:child_process";
import crypto from "node:crypto";
import dgram from "node:dgram";
import dns from "node:dns";
import dnsPromises from "node:dns/promises";
import fs from "node:fs";
import fsPromises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import timers from "node:timers";
import timersPromises from "node:timers/promises";
import { promisify } from "node:util";
import workers from "node:worker_threads";
import type { Surroundings } from "../../ports/index.ts";
import { Timeout } from "./timeout.ts";

type Members = Record<string, unknown>;
type Callback = (...values: unknown[]) => void;
type Current = () => Surroundings | undefined;

/** Reads without waiting: they change nothing and take no time, and the platform's own loader needs them. */
const keptInFs = /^(read.*|exists|stat|lstat|realpath|access|open|close|fstat)Sync$/;

/** What reaches outside and has no stand-in, by the object that holds it. */
const outside: readonly (readonly [label: string, owner: unknown, names: readonly string[]])[] = [
  ["", globalThis, ["fetch", "WebSocket", "EventSource"]],
  ["net.", net, ["connect", "createConnection"]],
  ["net.Socket.", net.Socket.prototype, ["connect"]],
  ["net.Server.", net.Server.prototype, ["listen"]],
  ["dgram.Socket.", dgram.Socket.prototype, ["bind", "send", "connect"]],
  ["dns.", dns, ["lookup", "resolve", "resolve4", "resolve6", "resolveSrv", "resolveTxt", "reverse"]],
  ["dns.", dnsPromises, ["lookup", "resolve", "resolve4", "resolve6", "resolveSrv", "resolveTxt", "reverse"]],
  ["child_process.", childProcess, ["spawn", "spawnSync", "exec", "execSync", "execFile", "execFileSync", "fork"]],
  ["worker_threads.", workers, ["Worker"]],
  ["fs.", fs, Object.keys(fs).filter((name) => /^[a-z]/.test(name) && name !== "promises" && !keptInFs.test(name))],
  ["fs.", fsPromises, Object.keys(fsPromises).filter((name) => name !== "constants")],
];

/**
 * Puts stand-ins in the place of the platform's clock, timers, entropy and I/O, for the code on whose
 * behalf `current()` knows surroundings; all other code in the process reaches the platform as before.
 * Modules that imported the names before see them, too. Until the returned function is called.
 */
export function replaceSurroundings(current: Current): () => void {
  const replacements = new Replacements();
  replaceTimers(replacements, current);
  replaceClocks(replacements, current);
  replaceEntropy(replacements, current);
  for (const [label, owner, names] of outside) for (const name of names) refuse(replacements, current, owner as Members, name, label);
  syncBuiltinESMExports();
  return () => {
    replacements.end();
    syncBuiltinESMExports();
  };
}

class Replacements {
  private readonly undo: (() => void)[] = [];

  put(owner: Members, name: string, value: unknown): void {
    const descriptor = Object.getOwnPropertyDescriptor(owner, name);
    if (descriptor?.configurable === false) return;
    Object.defineProperty(owner, name, { value, configurable: true, writable: true, enumerable: descriptor?.enumerable ?? false });
    this.undo.push(() => {
      if (descriptor === undefined) delete owner[name];
      else Object.defineProperty(owner, name, descriptor);
    });
  }

  end(): void {
    for (const step of this.undo.splice(0).reverse()) step();
  }
}

/** The original, but for code with surroundings. Called with `new` it stays a constructor. */
function refuse(replacements: Replacements, current: Current, owner: Members, name: string, label: string): void {
  const original = owner[name];
  if (typeof original !== "function") return;
  const check = (): void => {
    const surroundings = current();
    if (surroundings !== undefined) throw surroundings.refusal(`${label}${name}`);
  };
  replacements.put(
    owner,
    name,
    new Proxy(original, {
      apply: (target, self, values: unknown[]) => {
        check();
        return Reflect.apply(target as (...all: unknown[]) => unknown, self, values);
      },
      construct: (target, values: unknown[], newTarget) => {
        check();
        return Reflect.construct(target, values, newTarget);
      },
    }),
  );
}

function replaceTimers(replacements: Replacements, current: Current): void {
  const { setTimeout: realTimeout, setInterval: realInterval, setImmediate: realImmediate } = globalThis;
  const start = (surroundings: Surroundings, callback: Callback, delayMs: unknown, values: unknown[], repeat: boolean): Timeout => {
    // The callback goes on in the asynchronous context that it was given in, as the platform's would.
    const bound = AsyncResource.bind(() => callback(...values));
    return new Timeout(surroundings, bound, Number(delayMs ?? 1), repeat);
  };
  const setTimeoutHere = (callback: Callback, delayMs?: unknown, ...values: unknown[]): unknown => {
    const surroundings = current();
    if (surroundings === undefined) return (realTimeout as (...all: unknown[]) => unknown)(callback, delayMs, ...values);
    return start(surroundings, callback, delayMs, values, false);
  };
  const setIntervalHere = (callback: Callback, delayMs?: unknown, ...values: unknown[]): unknown => {
    const surroundings = current();
    if (surroundings === undefined) return (realInterval as (...all: unknown[]) => unknown)(callback, delayMs, ...values);
    return start(surroundings, callback, delayMs, values, true);
  };
  const setImmediateHere = (callback: Callback, ...values: unknown[]): unknown => {
    const surroundings = current();
    if (surroundings === undefined) return (realImmediate as (...all: unknown[]) => unknown)(callback, ...values);
    return start(surroundings, callback, 0, values, false);
  };
  const sleepHere = (real: unknown, hasDelay: boolean) => (first?: unknown, second?: unknown, third?: unknown) => {
    const surroundings = current();
    if (surroundings === undefined) return (real as (...all: unknown[]) => unknown)(first, second, third);
    const [delayMs, value, options] = hasDelay ? [first, second, third] : [0, first, second];
    return sleep(surroundings, Number(delayMs ?? 1), value, (options as { signal?: AbortSignal } | undefined)?.signal);
  };
  const clearHere = (real: unknown) => (timer: unknown) => {
    if (timer instanceof Timeout) timer.close();
    else (real as (timer: unknown) => void)(timer);
  };
  const sleepTimeout = sleepHere(timersPromises.setTimeout, true);
  const sleepImmediate = sleepHere(timersPromises.setImmediate, false);
  Object.defineProperty(setTimeoutHere, promisify.custom, { value: sleepTimeout });
  Object.defineProperty(setImmediateHere, promisify.custom, { value: sleepImmediate });
  const replaced: Members = {
    setTimeout: setTimeoutHere,
    setInterval: setIntervalHere,
    setImmediate: setImmediateHere,
    clearTimeout: clearHere(clearTimeout),
    clearInterval: clearHere(clearInterval),
    clearImmediate: clearHere(clearImmediate),
  };
  for (const [name, value] of Object.entries(replaced)) {
    replacements.put(globalThis as unknown as Members, name, value);
    replacements.put(timers as unknown as Members, name, value);
  }
  const promises = timersPromises as unknown as Members;
  replacements.put(promises, "setTimeout", sleepTimeout);
  replacements.put(promises, "setImmediate", sleepImmediate);
  refuse(replacements, current, promises, "setInterval", "timers/promises ");
  const realSignalTimeout = AbortSignal.timeout.bind(AbortSignal);
  replacements.put(AbortSignal as unknown as Members, "timeout", (delayMs: number) => {
    const surroundings = current();
    if (surroundings === undefined) return realSignalTimeout(delayMs);
    const controller = new AbortController();
    surroundings.after(delayMs, () => controller.abort(new DOMException("The operation was aborted due to timeout", "TimeoutError")));
    return controller.signal;
  });
}

function sleep(surroundings: Surroundings, delayMs: number, value: unknown, signal: AbortSignal | undefined): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      timer.cancel();
      reject(new DOMException("The operation was aborted", { name: "AbortError", cause: signal?.reason }));
    };
    const timer = surroundings.after(delayMs, () => {
      signal?.removeEventListener("abort", abort);
      resolve(value);
    });
    if (signal?.aborted === true) abort();
    else signal?.addEventListener("abort", abort, { once: true });
  });
}

function replaceClocks(replacements: Replacements, current: Current): void {
  const RealDate = Date;
  replacements.put(
    globalThis as unknown as Members,
    "Date",
    new Proxy(RealDate, {
      get: (target, name, receiver) => {
        const surroundings = name === "now" ? current() : undefined;
        return surroundings === undefined ? Reflect.get(target, name, receiver) : () => surroundings.wall();
      },
      construct: (target, values: unknown[], newTarget) => {
        const surroundings = values.length === 0 ? current() : undefined;
        return Reflect.construct(target, surroundings === undefined ? values : [surroundings.wall()], newTarget) as object;
      },
      apply: (target) => {
        const surroundings = current();
        return surroundings === undefined ? target() : new target(surroundings.wall()).toString();
      },
    }),
  );
  const realNow = performance.now.bind(performance);
  replacements.put(performance as unknown as Members, "now", () => current()?.now() ?? realNow());
  const { hrtime: realHrtime } = process;
  const hrtime = (since?: [number, number]): [number, number] => {
    const surroundings = current();
    if (surroundings === undefined) return realHrtime(since);
    const ns = Math.round((surroundings.now() % 1000) * 1e6);
    const now: [number, number] = [Math.floor(surroundings.now() / 1000), ns];
    if (since === undefined) return now;
    const left = now[1] - since[1];
    return left < 0 ? [now[0] - since[0] - 1, left + 1e9] : [now[0] - since[0], left];
  };
  hrtime.bigint = (): bigint => {
    const surroundings = current();
    return surroundings === undefined ? realHrtime.bigint() : BigInt(Math.round(surroundings.now() * 1e6));
  };
  replacements.put(process as unknown as Members, "hrtime", hrtime);
}

function replaceEntropy(replacements: Replacements, current: Current): void {
  const realRandom = Math.random;
  replacements.put(Math as unknown as Members, "random", () => current()?.random() ?? realRandom());
  const { randomUUID: realUuid, randomBytes: realBytes, randomInt: realInt } = crypto;
  const { webcrypto } = crypto;
  const realValues = webcrypto.getRandomValues.bind(webcrypto);
  const randomUuid = (options?: { disableEntropyCache?: boolean }): string => {
    const surroundings = current();
    return surroundings === undefined ? realUuid(options) : uuidOf(surroundings.bytes(16));
  };
  const getRandomValues = <T extends NodeJS.ArrayBufferView>(into: T): T => {
    const surroundings = current();
    if (surroundings === undefined) return realValues(into as never) as T;
    new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(surroundings.bytes(into.byteLength));
    return into;
  };
  const randomBytes = (length: number, callback?: (error: Error | null, bytes: Buffer) => void): unknown => {
    const surroundings = current();
    if (surroundings === undefined) return callback === undefined ? realBytes(length) : realBytes(length, callback);
    const bytes = Buffer.from(surroundings.bytes(length));
    if (callback === undefined) return bytes;
    surroundings.after(
      0,
      AsyncResource.bind(() => callback(null, bytes)),
    );
    return undefined;
  };
  const randomInt = (low: number, high?: number, callback?: unknown): unknown => {
    const surroundings = current();
    if (surroundings === undefined || typeof high === "function" || callback !== undefined)
      return (realInt as (...all: unknown[]) => unknown)(low, high, callback);
    const [from, to] = high === undefined ? [0, low] : [low, high];
    return from + Math.floor(surroundings.random() * (to - from));
  };
  const owner = crypto as unknown as Members;
  replacements.put(owner, "randomUUID", randomUuid);
  replacements.put(owner, "randomBytes", randomBytes);
  replacements.put(owner, "randomInt", randomInt);
  replacements.put(owner, "getRandomValues", getRandomValues);
  replacements.put(webcrypto as unknown as Members, "randomUUID", randomUuid);
  replacements.put(webcrypto as unknown as Members, "getRandomValues", getRandomValues);
}

/** RFC 9562, version 4. */
function uuidOf(bytes: Uint8Array): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Buffer.from(bytes).toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}
