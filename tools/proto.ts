/**
 * Makes the messages of the etcd gateway from its interface definitions.
 *
 *     node dist/tools/proto.js            writes src/etcd/generated (needs the npm registry)
 *     node dist/tools/proto.js --check    exit 1 when what is committed does not belong to the definitions
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isMain, pathOf } from "./files.ts";

const definitions = "src/etcd/proto";
const generated = "src/etcd/generated";
const digestFile = `${generated}/digest.txt`;
const compiler = "@bufbuild/buf@1.75.0";
const plugin = "@bufbuild/protoc-gen-es@2.17.0";

const template = `version: v2
plugins:
  - local: protoc-gen-es
    out: ${pathOf(generated)}
    opt: [target=ts, import_extension=ts, erasable_syntax=true]
`;

function hashOf(folder: string, ending: string): string {
  const hash = createHash("sha256");
  for (const name of readdirSync(pathOf(folder)).sort((a, b) => (a < b ? -1 : 1))) {
    if (name.endsWith(ending))
      hash
        .update(`${name}\0`)
        .update(readFileSync(join(pathOf(folder), name)))
        .update("\0");
  }
  return hash.digest("hex");
}

/** What the committed files were made from, and with, and what they are. */
export function digestText(): string {
  return `${compiler} ${plugin}\ndefinitions ${hashOf(definitions, ".proto")}\ngenerated ${hashOf(generated, ".ts")}\n`;
}

/** Whether the generated files belong to the definitions as they are. */
export function isCurrent(): boolean {
  return readFileSync(pathOf(digestFile), "utf8") === digestText();
}

function run(directory: string, args: readonly string[]): void {
  const packages = ["-p", compiler, "-p", plugin];
  const result = spawnSync("npx", ["-y", ...packages, "--", "buf", ...args], { cwd: directory, stdio: "inherit" });
  if (result.status !== 0) throw new Error(`buf ${args.join(" ")} failed`);
}

function generate(): void {
  const directory = mkdtempSync(join(tmpdir(), "unum-proto-"));
  try {
    writeFileSync(join(directory, "buf.gen.yaml"), template);
    // Without source positions: comments stand in the definitions.
    run(directory, ["build", pathOf(definitions), "--exclude-source-info", "-o", "image.binpb"]);
    run(directory, ["generate", "image.binpb"]);
    writeFileSync(pathOf(digestFile), digestText());
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

if (isMain(import.meta.url)) {
  if (!process.argv.includes("--check")) generate();
  else if (!isCurrent()) {
    console.error(`${generated} does not belong to ${definitions}: run node dist/tools/proto.js`);
    process.exitCode = 1;
  }
}
