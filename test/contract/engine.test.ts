/** The engine's thread: what its program hears when it cannot start, when it ends, and what it writes to the log. */
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { start } from "../../src/index.ts";
import { freePort } from "../support/ports.ts";

const dist = fileURLToPath(new URL("../../dist", import.meta.url));
const modules = fileURLToPath(new URL("../../node_modules", import.meta.url));

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "unum-test-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

describe("a node in a thread of its own", () => {
  it("refuses what a node in this thread refuses, with the same codes, and leaves nothing behind", async () => {
    const listen = `127.0.0.1:${await freePort()}`;
    const data = join(directory, "a");
    const first = await start({ data, listen });
    await expect(start({ data, listen: "127.0.0.1:0" })).rejects.toMatchObject({ code: "DATA_DIR_LOCKED" });
    await expect(start({ data: join(directory, "b"), listen })).rejects.toMatchObject({ code: "PORT_IN_USE" });
    await expect(start({ data: join(directory, "b"), listen: "0.0.0.0:0" })).rejects.toMatchObject({ code: "INSECURE" });
    await expect(start({ data, maxStall: "soon" })).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    await first.ready;
    await first.kv.put("a", 1);
    await first.close();
    const again = await start({ data, listen });
    expect((await again.kv.get("a"))?.value).toBe(1);
    await again.close();
    await expect(again.kv.get("a")).rejects.toMatchObject({ code: "CLOSED" });
  });

  it("writes to the program's logger, also what cannot be copied from thread to thread", async () => {
    const lines: string[] = [];
    const write = (message: string): unknown => lines.push(message);
    const unum = await start({
      data: join(directory, "a"),
      listen: "127.0.0.1:0",
      logger: { debug: write, info: write, warn: write, error: write },
    });
    await unum.ready;
    await unum.close();
    expect(lines.length).toBeGreaterThan(0);
  });

  it("says ENGINE_NOT_FOUND and the remedy when a bundler has swallowed its files; never falls back in silence", async () => {
    await cp(dist, join(directory, "dist"), { recursive: true, filter: (path) => !path.includes(".mutants") });
    await writeFile(join(directory, "package.json"), '{"type":"module"}');
    await cp(modules, join(directory, "node_modules"), {
      recursive: true,
      filter: (path) => path === modules || /node_modules\/(@bufbuild|croner|commander)/.test(path),
    });
    const attempt = async (removed: string, isolate: boolean): Promise<string> => {
      await rm(join(directory, "dist", removed));
      const program = `
        import { start } from "./dist/index.js";
        await start({ data: "data", listen: "127.0.0.1:0", isolate: ${isolate} }).then(
          async (unum) => { await unum.close(); console.log("started"); },
          (error) => console.log(error.code + " " + error.message),
        );`;
      await writeFile(join(directory, "program.js"), program);
      return (await promisify(execFile)(process.execPath, ["program.js"], { cwd: directory })).stdout;
    };
    expect(await attempt("engine-thread.js", true)).toMatch(/^ENGINE_NOT_FOUND .*engine-thread\.js.*--external:unum/);
    expect(await attempt("platform/node/log-thread.js", false)).toMatch(/^ENGINE_NOT_FOUND .*log-thread\.js/);
  });
});
