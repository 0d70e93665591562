import { fork } from "node:child_process";
import { pathOf } from "../files.ts";
import type { Ground } from "./mutant.ts";
import type { Order, Ran } from "./seeds.ts";

/** How a hunt ended: a checker found the fault, the program died without any having found it, or nobody noticed. */
export type Catch =
  | { readonly kind: "fallen"; readonly seed: number; readonly violations: readonly string[] }
  | { readonly kind: "died"; readonly seed: number; readonly how: string }
  | { readonly kind: "survived"; readonly seeds: number };

/** A seed takes half a second; one that is not done after this never will be. */
const seedMsMax = 120_000;

/** Runs the seeds of `order` in a process of its own, up to the first that fails. */
export function runSeeds(order: Order): Promise<Catch> {
  return new Promise((resolve, reject) => {
    // Unhandled rejections are violations of the run, which the simulator notes itself.
    const child = fork(pathOf("dist/tools/mutants/seeds.js"), [JSON.stringify(order)], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    let next = order.from;
    let result: Catch | undefined;
    let said = "";
    const hung = (): void => {
      result = { kind: "died", seed: next, how: `no end within ${seedMsMax / 1000} s of real time` };
      child.kill("SIGKILL");
    };
    let timer = setTimeout(hung, seedMsMax);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      said = (said + text).slice(-2_000);
    });
    child.on("message", (message) => {
      const { seed, violations } = message as Ran;
      next = seed + 1;
      clearTimeout(timer);
      timer = setTimeout(hung, seedMsMax);
      if (violations.length > 0) result = { kind: "fallen", seed, violations };
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      if (result === undefined && code !== 0) result = { kind: "died", seed: next, how: `exit code ${code ?? signal}: ${said.trim()}` };
      resolve(result ?? { kind: "survived", seeds: order.count });
    });
  });
}

export interface Hunt {
  readonly folder: string;
  /** The same build without the fault. */
  readonly faultless: string;
  readonly ground: Ground;
  readonly from: number;
  readonly count: number;
}

/** Seeds that fail without the fault as well: they say nothing of it. */
export interface Ignored {
  readonly seed: number;
  readonly violations: readonly string[];
}

/** The first seed from which the faulty build fails and the faultless one does not. */
export async function hunt({ count, faultless, folder, from, ground }: Hunt, ignored: (found: Ignored) => void): Promise<Catch> {
  const end = from + count;
  for (let at = from; at < end; ) {
    const found = await runSeeds({ folder, ground, from: at, count: end - at });
    if (found.kind === "survived") break;
    const without = await runSeeds({ folder: faultless, ground, from: found.seed, count: 1 });
    if (without.kind === "survived") return found;
    ignored({ seed: found.seed, violations: without.kind === "fallen" ? without.violations : [without.how] });
    at = found.seed + 1;
  }
  return { kind: "survived", seeds: count };
}
