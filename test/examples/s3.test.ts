import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";

const directory = fileURLToPath(new URL("../../examples/s3/", import.meta.url));
const run = promisify(execFile);

it("the fence in S3 loses no change under faults, with node:test, as they stand", { timeout: 120_000 }, async () => {
  // Vitest's own variables would make the examples believe that they run in it.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(VITEST|NODE_)/.test(name)));
  const { stderr, stdout } = await run(process.execPath, ["--test", "object.test.js"], { cwd: directory, env });
  expect(stdout).toMatch(/^# fail 0$/m);
  expect(stdout).toMatch(/^# pass 1$/m);
  expect(stderr).toBe("");
});
