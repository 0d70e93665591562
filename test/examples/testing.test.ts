import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";

const directory = fileURLToPath(new URL("../../examples/testing/", import.meta.url));
const run = promisify(execFile);

describe("the examples of unum/testing, with node:test, as they stand", () => {
  for (const file of readdirSync(directory).filter((name) => name.endsWith(".test.js"))) {
    it(file, { timeout: 240_000 }, async () => {
      // Vitest's own variables would make the examples believe that they run in it.
      const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_)/.test(name)));
      const { stderr, stdout } = await run(process.execPath, ["--test", file], { cwd: directory, env });
      expect(stdout).toMatch(/^# fail 0$/m);
      expect(stdout).toMatch(/^# pass [1-9]/m);
      expect(stderr).toBe("");
    });
  }
});
