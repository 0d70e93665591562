import { goldenTests } from "../../tools/golden.ts";
import { KeyspaceScript } from "./script.golden.ts";

goldenTests(new URL("./testdata/", import.meta.url), () => new KeyspaceScript());
