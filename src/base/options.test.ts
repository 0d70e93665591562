import { describe, expect, it } from "vitest";
import { UnumError } from "./errors.ts";
import { optionFlag, optionNames, optionTable, parseDurationMs, parseSizeBytes, readOption, resolveOptions } from "./options.ts";

describe("options", () => {
  it("takes what is given before the variable, and the variable before the default", () => {
    expect(resolveOptions("node", {}, {}).listen).toBe("127.0.0.1:7400");
    expect(resolveOptions("node", {}, { UNUM_LISTEN: "127.0.0.1:1" }).listen).toBe("127.0.0.1:1");
    expect(resolveOptions("node", { listen: "127.0.0.1:2" }, { UNUM_LISTEN: "127.0.0.1:1" }).listen).toBe("127.0.0.1:2");
  });

  it("treats an empty variable as not set", () => {
    expect(resolveOptions("client", {}, { UNUM_TIMEOUT: "" }).timeout).toBe(10_000);
  });

  it("names the source of a bad value", () => {
    expect(() => resolveOptions("node", {}, { UNUM_EXPECT: "three" })).toThrow('UNUM_EXPECT takes a whole number, not "three"');
    expect(() => readOption("listen", "nowhere")).toThrow('--listen takes host:port, not "nowhere"');
    expect(() => readOption("expect", 0)).toThrow(UnumError);
  });

  it("takes either a list of seeds or one dns name", () => {
    expect(readOption("seeds", ["a:1", "b:2"])).toEqual(["a:1", "b:2"]);
    expect(readOption("seeds", "dns:unum.local:7400")).toEqual(["dns:unum.local:7400"]);
    expect(() => readOption("seeds", "dns:a:1,b:2")).toThrow("either");
    expect(() => readOption("seeds", "dns:7400")).toThrow("dns:name:port");
  });

  it("reads durations and sizes with their units", () => {
    expect([parseDurationMs("250ms"), parseDurationMs("1.5s"), parseDurationMs("5m"), parseDurationMs(7), parseDurationMs("7")]).toEqual([
      250, 1500, 300_000, 7, 7,
    ]);
    expect([parseDurationMs("soon"), parseDurationMs(-1), parseDurationMs("")]).toEqual([undefined, undefined, undefined]);
    expect([parseSizeBytes("2GiB"), parseSizeBytes("1kb"), parseSizeBytes("12"), parseSizeBytes("x")]).toEqual([
      2 ** 31,
      1000,
      12,
      undefined,
    ]);
  });

  it("has a default that its own validation accepts, one variable and one flag per option", () => {
    for (const scope of ["node", "client"] as const) expect(() => resolveOptions(scope, {}, {})).not.toThrow();
    const names = [...optionNames("node"), ...optionNames("client")];
    expect(new Set(names.map((name) => optionTable[name].environment)).size).toBe(names.length);
    expect(optionFlag("removeDeadAfter")).toBe("--remove-dead-after");
  });
});

describe("voters", () => {
  it("are odd: an even number tolerates no more failures than one less", () => {
    expect([readOption("voters", 3), readOption("voters", "5")]).toEqual([3, 5]);
    expect(() => readOption("voters", 4)).toThrow('--voters is odd, not "4"');
  });
});
