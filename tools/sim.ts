/**
 * `npm run sim -- …`: with `--mutants` the hunt for deliberate faults (`tools/mutants`), which copies and compiles sources and is
 * no part of what is published; everything else is the simulator's own command.
 */
import { pathToFileURL } from "node:url";
import { isMain, pathOf } from "./files.ts";
import { main as huntMutants } from "./mutants/main.ts";

if (isMain(import.meta.url)) {
  const args = process.argv.slice(2);
  if (args.includes("--mutants")) process.exitCode = await huntMutants(args);
  else await import(pathToFileURL(pathOf("dist/sim/main.js")).href);
}
