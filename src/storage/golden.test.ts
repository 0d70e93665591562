import { goldenTests } from "../../tools/golden.ts";
import { ScriptRunner } from "./script.golden.ts";

goldenTests(new URL("./testdata/", import.meta.url), () => {
  const runner = new ScriptRunner();
  return { run: (command) => runner.run(command) };
});
