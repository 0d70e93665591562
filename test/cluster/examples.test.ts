/** The examples that users copy, as they stand, while their replicas are killed and paused. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const program = fileURLToPath(new URL("../../examples/break.js", import.meta.url));

async function broken(example: string): Promise<{ readonly code: number | null; readonly out: string }> {
  const child = spawn(process.execPath, [program, example, "--minutes", "0.15", "--seed", "1"], { stdio: ["ignore", "pipe", "ignore"] });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  const [code] = (await once(child, "exit")) as [number | null];
  return { code, out };
}

it("billing-cron: each tick has one completed attempt, however its replicas die", async () => {
  const { code, out } = await broken("billing-cron");
  expect(code, out).toBe(0);
  expect(Number(/\| completed exactly once \| (\d+) \|/.exec(out)?.[1])).toBeGreaterThan(2);
});

it("leader: no step is lost or done twice, and fences never go back", async () => {
  const { code, out } = await broken("leader");
  expect(code, out).toBe(0);
  expect(Number(/\| steps \| (\d+) \|/.exec(out)?.[1])).toBeGreaterThan(10);
});
