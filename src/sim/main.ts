import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, mkdirSync, openSync } from "node:fs";
import { availableParallelism } from "node:os";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, parentPort } from "node:worker_threads";
import { exitProcess, nodeFiles, onBrokenOutput } from "../platform/node/index.ts";
import { readArguments } from "./arguments.ts";
import { runCommand } from "./command.ts";
import type { Tools } from "./command.ts";
import { perform } from "./labor.ts";
import type { Job, JobResult, Laborer } from "./labor.ts";

/**
 * The root of the simulator's command line; `README.md` has its options.
 *
 * Exit code 1 when something failed, 2 for a wrong argument.
 */
async function main(): Promise<number> {
  // Whoever read our output has had enough.
  onBrokenOutput(() => exitProcess(1));
  const args = process.argv.slice(2);
  const parsed = readArguments(args);
  if ("mistake" in parsed) {
    process.stderr.write(`${parsed.mistake}\n`);
    return 2;
  }
  if (parsed.background) return detach(args.filter((arg) => arg !== "--background"));
  return await runCommand(tools(), parsed);
}

/** A run that takes longer than this in real time hangs: it is ended, and its seed named. */
const runMsMax = 300_000;

function tools(): Tools {
  return {
    files: nodeFiles(),
    commit: process.env["UNUM_COMMIT"] ?? currentCommit(),
    cores: availableParallelism(),
    hire: () => new Thread(),
    nowMs: () => performance.now(),
    say: (line) => void process.stdout.write(`${line}\n`),
    append: (path, line) => {
      mkdirSync(dirname(path), { recursive: true });
      appendFileSync(path, `${line}\n`);
    },
  };
}

/** "" outside of a repository. */
function currentCommit(): string {
  try {
    return execFileSync("git", ["rev-parse", "HEAD"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "";
  }
}

/** A thread that runs this file, and there one job after the other. */
class Thread implements Laborer {
  private worker: Worker | undefined;

  run(job: Job): Promise<JobResult> {
    this.worker ??= new Worker(fileURLToPath(import.meta.url), { resourceLimits: { maxOldGenerationSizeMb: 1_500 } });
    const { worker } = this;
    return new Promise((resolve, reject) => {
      const settle = (how: () => void): void => {
        clearTimeout(timer);
        worker.off("message", done).off("error", failed).off("exit", ended);
        how();
      };
      const done = (result: JobResult): void => settle(() => resolve(result));
      const failed = (error: unknown): void => settle(() => reject(error));
      const ended = (code: number): void => failed(new Error(`its thread ended with ${code}`));
      const timer = setTimeout(() => failed(new Error(`no end within ${runMsMax / 1000} s of real time`)), runMsMax);
      worker.on("message", done).on("error", failed).on("exit", ended);
      worker.postMessage(job);
    });
  }

  dismiss(): void {
    void this.worker?.terminate();
    this.worker = undefined;
  }
}

/** The same command without this terminal, at low priority; what it says goes to a file. */
function detach(args: readonly string[]): number {
  const log = ".unum/sim/background.log";
  mkdirSync(dirname(log), { recursive: true });
  const out = openSync(log, "a");
  const child = spawn("nice", [process.execPath, fileURLToPath(import.meta.url), ...args], { detached: true, stdio: ["ignore", out, out] });
  child.unref();
  process.stdout.write(`process ${child.pid} goes on in the background; ${log} has what it says\n`);
  return 0;
}

if (isMainThread) process.exitCode = await main();
else {
  parentPort?.on("message", (job: Job) => {
    void perform(job).then((result) => parentPort?.postMessage(result));
  });
}
