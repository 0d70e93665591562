import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, mkdir, mkdtemp, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import type { Child, ChildExit, Files, FileSink, Processes, RunRequest, Signal, SpawnRequest } from "../../ports/index.ts";

/** `program`: the script that children run, with this process's own Node and its flags. */
export function nodeProcesses(program: string): Processes {
  return {
    pid: process.pid,
    environment: process.env,
    directory: process.cwd(),
    spawn: (request) => spawnChild(program, request),
    run: runProgram,
    alive,
    onSignal(signal: Signal, callback: () => void): () => void {
      process.on(signal, callback);
      return () => process.off(signal, callback);
    },
  };
}

function spawnChild(program: string, request: SpawnRequest): Child {
  const child = spawn(process.execPath, [...process.execArgv, program, ...request.args], {
    env: { ...process.env, ...request.environment },
    stdio: ["pipe", "ignore", "pipe"],
  });
  if (request.onErrorLine !== undefined) createInterface({ input: child.stderr }).on("line", request.onErrorLine);
  else child.stderr.resume();
  // The pipe breaks when the child dies first; its exit says all there is to say.
  child.stdin.on("error", () => child.stdin.destroy());
  const exited = new Promise<ChildExit>((resolve) => {
    child.once("error", (error) => {
      request.onErrorLine?.(error.message);
      resolve({ code: 1, signal: null });
    });
    // "close" follows "exit" once the last line of standard error was read.
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  return { pid: child.pid ?? 0, kill: (signal) => child.kill(signal), exited };
}

function runProgram({ args, environment, program }: RunRequest): Child {
  const child = spawn(program, args, { env: { ...process.env, ...environment }, stdio: "inherit" });
  const exited = new Promise<ChildExit>((resolve) => {
    // As shells have it: 127 when there is no such program.
    child.once("error", (error) => resolve({ code: (error as NodeJS.ErrnoException).code === "ENOENT" ? 127 : 126, signal: null }));
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  return { pid: child.pid ?? 0, kill: (signal) => child.kill(signal), exited };
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** The arguments behind the program's own name. */
export function processArguments(): readonly string[] {
  return process.argv.slice(2);
}

/** The script that runs, for children that run it too. */
export function processProgram(): string {
  return process.argv[1] ?? "";
}

/** Ends the process. Call it only after the outputs have drained. */
export function exitProcess(code: number): void {
  process.exit(code);
}

/** `onBroken` is called once when the reader of our standard output has gone. */
export function onBrokenOutput(onBroken: () => void): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") onBroken();
    else throw error;
  });
  // What cannot be said to the user cannot be complained about either: the exit code still tells.
  process.stderr.on("error", () => process.stderr.destroy());
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === "ENOENT";
}

export function nodeFiles(): Files {
  return {
    async read(path: string): Promise<Uint8Array | undefined> {
      try {
        return await readFile(path);
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw error;
      }
    },
    async write(path: string, bytes: Uint8Array): Promise<void> {
      await mkdir(dirname(path), { recursive: true });
      const temporary = temporaryName(path);
      await writeFile(temporary, bytes);
      await rename(temporary, path);
    },
    exists: (path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    stream: (path) => createReadStream(path, { highWaterMark: 1024 * 1024 }),
    create: createSink,
    remove: (path) => rm(path, { recursive: true, force: true, maxRetries: 3 }),
    makeTemporary: (prefix) => mkdtemp(join(tmpdir(), prefix)),
  };
}

function temporaryName(path: string): string {
  return `${path}.${randomBytes(6).toString("hex")}.tmp`;
}

async function createSink(path: string): Promise<FileSink> {
  await mkdir(dirname(path), { recursive: true });
  const temporary = temporaryName(path);
  const file = await open(temporary, "wx");
  return {
    async write(bytes: Uint8Array): Promise<void> {
      for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
    },
    async finish(): Promise<void> {
      await file.sync();
      await file.close();
      await rename(temporary, path);
      const directory = await open(dirname(path), "r");
      await directory.sync().finally(() => directory.close());
    },
    async abandon(): Promise<void> {
      await file.close();
      await rm(temporary, { force: true });
    },
  };
}
