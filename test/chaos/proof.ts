/**
 * The proof that the proof can fail: a copy of the build in which the log's thread no longer syncs must lose
 * acknowledged writes when the power goes, and `npm run chaos` must say so. Part of `npm run nightly`.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));
const file = "dist/platform/node/log-thread.js";
const call = "    fdatasyncSync(fd);\n";

const directory = mkdtempSync(join(tmpdir(), "unum-proof-"));
try {
  for (const name of ["bin", "dist", "package.json"]) cpSync(join(root, name), join(directory, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
  const source = readFileSync(join(directory, file), "utf8");
  if (source.split(call).length !== 2)
    throw new Error(`${file} does not have the one call that this would take out; look at it and mend the proof`);
  writeFileSync(join(directory, file), source.replace(call, ""));
  const args = ["dist/test/chaos/main.js", "--seed", "1", "--minutes", "0.33", "--faults", "power", "--workload", "register,set"];
  const { status, stdout } = spawnSync(process.execPath, args, { cwd: directory, encoding: "utf8" });
  const found = /^violations +([1-9]\d*)$/m.exec(stdout)?.[1];
  if (status === 1 && found !== undefined) console.log(`a log that is not synced is found out: ${found} violations`);
  else {
    console.error(`${stdout}\na log that is not synced was NOT found out (exit ${status})`);
    process.exitCode = 1;
  }
} finally {
  rmSync(directory, { recursive: true, force: true });
}
