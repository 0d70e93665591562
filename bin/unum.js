#!/usr/bin/env node
// Plain JavaScript that any Node reads, so that an old one, or a missing build, gets a sentence and not a stack.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const build = new URL("../dist/cli/main.js", import.meta.url);
const [major, minor] = process.versions.node.split(".").map(Number);

if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`unum: needs Node.js 20.19 or later, and this is ${process.versions.node}`);
  process.exitCode = 2;
} else if (!existsSync(build)) {
  console.error(`unum: not built yet; run "npm ci && npm run build" in ${fileURLToPath(new URL("..", import.meta.url))}`);
  process.exitCode = 2;
} else {
  await import(build.href);
}
