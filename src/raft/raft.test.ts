import { goldenTests } from "../../tools/golden.ts";
import { Environment } from "./environment.golden.ts";

goldenTests(new URL("./testdata/", import.meta.url), () => ({ run: new Environment().run }));
