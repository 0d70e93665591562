import { open, stat, unlink, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { createServer, connect } from "node:net";
import type { Server } from "node:net";
import { DiskError } from "../../ports/index.ts";

/**
 * A lock that the kernel lets go when its process ends, however it ends, without native code: a
 * listening socket. Nothing is left to clean up and no pid is trusted, so a reused one deceives nobody.
 *
 * 1. A name outside the file system, made of the directory's device and inode: on Linux an abstract
 *    socket, on Windows a pipe. Taking it is atomic. It is seen by all processes of a network namespace.
 * 2. Where the directory can hold one, a socket file: it is seen from other containers that share the
 *    directory. A dead holder's file stays and refuses connections; it is then replaced.
 *
 * Whoever connects is told the holder's pid.
 */
export async function lockDirectory(directory: string, path: string): Promise<{ release(): Promise<void> }> {
  const { dev, ino } = await stat(directory);
  const name = kernelName(dev, ino);
  const servers: Server[] = [];
  const handle = await openDirectory(directory);
  const release = async (): Promise<void> => {
    for (const server of servers.reverse()) await closeServer(server);
    await handle?.close();
  };
  try {
    if (name !== undefined) servers.push(await take(name));
    const file = await takeFile(socketPath(directory, path, handle), name !== undefined);
    if (file !== undefined) servers.push(file);
    // For people who look into the directory; nothing reads it.
    await writeFile(`${directory}/${path}`, `${process.pid}\n`);
    return { release };
  } catch (error) {
    await release();
    throw error;
  }
}

function kernelName(dev: number, ino: number): string | undefined {
  if (process.platform === "linux") return `\0unum:${dev}:${ino}`;
  if (process.platform === "win32") return `\\\\.\\pipe\\unum-${dev}-${ino}`;
  return undefined;
}

async function openDirectory(directory: string): Promise<FileHandle | undefined> {
  return process.platform === "linux" ? await open(directory, "r") : undefined;
}

/** Socket paths are limited to about a hundred bytes; on Linux an open directory is a short name for a long one. */
function socketPath(directory: string, path: string, handle: FileHandle | undefined): string | undefined {
  if (process.platform === "win32") return undefined;
  return handle === undefined ? `${directory}/${path}.socket` : `/proc/self/fd/${handle.fd}/${path}.socket`;
}

async function take(name: string): Promise<Server> {
  try {
    return await listen(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    throw new DiskError("locked", "the directory is in use", await holder(name));
  }
}

async function takeFile(path: string | undefined, isOptional: boolean): Promise<Server | undefined> {
  if (path === undefined) return undefined;
  for (let attempt = 0; ; attempt++) {
    try {
      return await listen(path);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EADDRINUSE") {
        // Not every file system holds sockets. Without the other lock this one must work.
        if (isOptional) return undefined;
        throw error;
      }
      const found = await holder(path);
      if (found.isAlive || attempt > 2) throw new DiskError("locked", "the directory is in use", found);
      await unlink(path).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code !== "ENOENT") throw cause;
      });
    }
  }
}

function listen(path: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      // Whoever asks may go away before the answer.
      socket.on("error", () => socket.destroy());
      socket.end(`${process.pid}\n`);
    });
    server.once("error", reject);
    server.listen({ path, exclusive: true }, () => {
      server.off("error", reject);
      server.unref();
      resolve(server);
    });
  });
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => void server.close(() => resolve()));
}

interface Holder {
  readonly isAlive: boolean;
  readonly pid?: number;
}

/** A holder whose event loop hangs accepts in the kernel all the same; only its pid stays unknown. */
function holder(path: string): Promise<Holder> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    let isAlive = false;
    let text = "";
    const end = (): void => {
      socket.destroy();
      const pid = Number.parseInt(text, 10);
      resolve(Number.isNaN(pid) ? { isAlive } : { isAlive, pid });
    };
    socket.setTimeout(1000, end);
    socket.on("connect", () => (isAlive = true));
    socket.on("data", (bytes) => (text += bytes.toString("latin1")));
    socket.on("end", end);
    socket.on("error", end);
  });
}
