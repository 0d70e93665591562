import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodeFiles, nodeProcesses } from "./process.ts";

let directory = "";
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "unum-process-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function program(name: string, source: string): string {
  const path = join(directory, name);
  writeFileSync(path, source);
  return path;
}

describe("children", () => {
  it("give every line of their standard error before they count as ended", async () => {
    const lines: string[] = [];
    const path = program("lines.mjs", `process.stderr.write("a\\nb\\nlast"); process.exitCode = 3;`);
    const child = nodeProcesses(path).spawn({ args: [], onErrorLine: (line) => lines.push(line) });
    expect(await child.exited).toEqual({ code: 3, signal: null });
    expect(lines).toEqual(["a", "b", "last"]);
  });

  it("get their arguments and variables, and die of SIGKILL", async () => {
    const path = program("args.mjs", `process.stderr.write(process.argv[2] + process.env.UNUM_TEST + "\\n"); setInterval(() => {}, 1000);`);
    const processes = nodeProcesses(path);
    let said = (_line: string): void => undefined;
    const line = new Promise<string>((resolve) => {
      said = resolve;
    });
    const child = processes.spawn({ args: ["x"], environment: { UNUM_TEST: "y" }, onErrorLine: (text) => said(text) });
    expect(await line).toBe("xy");
    expect(processes.alive(child.pid)).toBe(true);
    child.kill("SIGKILL");
    expect(await child.exited).toEqual({ code: null, signal: "SIGKILL" });
    expect(processes.alive(child.pid)).toBe(false);
    expect(child.kill("SIGTERM")).toBe(false);
  });

  it("have a standard input that stays open while we live", async () => {
    const path = program("stdin.mjs", `process.stdin.on("close", () => process.exit(9)).resume(); setTimeout(() => process.exit(0), 100);`);
    expect(await nodeProcesses(path).spawn({ args: [] }).exited).toEqual({ code: 0, signal: null });
  });
});

describe("files", () => {
  it("are there as a whole or not at all", async () => {
    const files = nodeFiles();
    const path = join(directory, "deep/er/file");
    expect(await files.read(path)).toBeUndefined();
    const sink = await files.create(path);
    await sink.write(new Uint8Array([1, 2]));
    expect(await files.exists(path)).toBe(false);
    await sink.finish();
    expect(await files.read(path)).toEqual(Buffer.from([1, 2]));
    await files.write(path, new Uint8Array([3]));
    expect(await files.read(path)).toEqual(Buffer.from([3]));
    const abandoned = await files.create(path);
    await abandoned.write(new Uint8Array([4]));
    await abandoned.abandon();
    expect(await files.read(path)).toEqual(Buffer.from([3]));
    expect(readdirSync(join(directory, "deep/er"))).toEqual(["file"]);
  });

  it("are removed with all that is in them, and removing nothing is no error", async () => {
    const files = nodeFiles();
    const path = await files.makeTemporary("unum-test-");
    await files.write(join(path, "a/b"), new Uint8Array(1));
    await files.remove(path);
    expect(await files.exists(path)).toBe(false);
    await files.remove(path);
  });
});

describe("the program", () => {
  it("says what to run when it is not built", () => {
    const bin = fileURLToPath(new URL("../../../bin/unum.js", import.meta.url));
    const copy = join(directory, "bin");
    writeFileSync(join(directory, "package.json"), '{"type":"module"}');
    execFileSync("mkdir", ["-p", copy]);
    execFileSync("cp", [bin, join(copy, "unum.js")]);
    expect(() => execFileSync(process.execPath, [join(copy, "unum.js")], { stdio: "pipe" })).toThrow(
      /not built yet; run "npm ci && npm run build"/,
    );
  });
});
