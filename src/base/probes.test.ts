import { readFileSync, readdirSync } from "node:fs";
import { expect, it } from "vitest";
import { probeTable } from "./probes.ts";

it("every probe is reached somewhere in the code, and its sentence stands alone", () => {
  const paths = readdirSync("src", { recursive: true, encoding: "utf8" }).filter((path) => /(?<!\.test|\.golden)\.ts$/.test(path));
  const code = paths.filter((path) => !path.endsWith("probes.ts")).map((path) => readFileSync(`src/${path}`, "utf8"));
  for (const [name, sentence] of Object.entries(probeTable)) {
    expect(
      code.some((text) => text.includes("probe?.(") && text.includes(`"${name}"`)),
      name,
    ).toBe(true);
    expect(sentence).toMatch(/^[a-z].*[a-z]$/);
  }
});
