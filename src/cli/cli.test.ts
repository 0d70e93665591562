import { describe, expect, it } from "vitest";
import { UnumError, utf8Decode, utf8Encode } from "../base/index.ts";
import { goldenTests } from "../../tools/golden.ts";
import type { GoldenCommand } from "../../tools/golden.ts";
import { freePorts } from "./cluster/ports.ts";
import { resolveEndpoints } from "./endpoint.ts";
import { FakeWorld, fakeStatus } from "./fake.golden.ts";
import { runCli } from "./program.ts";

/** Words of a command line: spaces between, '…' and "…" keep theirs. */
function shellWords(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

class Runner {
  private readonly world = new FakeWorld();

  readonly run = async (command: GoldenCommand): Promise<string> => {
    const { world } = this;
    switch (command.verb) {
      case "run":
        return this.runLine(command.body);
      case "stdin":
        world.input = command.body;
        return "";
      case "terminal":
        world.terminal = command.word(0, "on or off") === "on";
        return "";
      case "file":
        world.files.set(command.word(0, "a path"), utf8Encode(command.body));
        return "";
      case "env":
        world.environment[command.word(0, "a name")] = command.word(1, "a value");
        return "";
      case "cluster":
        world.status = fakeStatus(command.number("up", 3), command.number("corrupt", 0) === 1);
        world.unreachable = command.has("unreachable");
        return "";
      default:
        throw new Error(`no verb ${command.verb}`);
    }
  };

  private async runLine(line: string): Promise<string> {
    const { world } = this;
    world.out.length = 0;
    world.err.length = 0;
    const [, ...args] = shellWords(line);
    const code = await runCli(world.context(), args);
    const show = (prefix: string, chunks: readonly string[]): string[] => {
      const text = chunks.join("");
      return text === ""
        ? []
        : text
            .replace(/\n$/, "")
            .split("\n")
            .map((each) => `${prefix} ${each}`.trimEnd());
    };
    const ran = world.ran.splice(0).map((one) => `ran| ${one}`);
    return [...show("out|", world.out), ...show("err|", world.err), ...ran, `exit ${code}`].join("\n");
  }
}

goldenTests(new URL("./testdata/", import.meta.url), () => new Runner());

describe("endpoint", () => {
  const devFile = utf8Encode(JSON.stringify({ pid: 7, data: ".unum/dev", endpoints: ["127.0.0.1:7403", "127.0.0.1:7404"], nodes: [] }));

  it("is the flag, the variable, a living dev cluster, then the default", async () => {
    const world = new FakeWorld();
    const context = world.context();
    expect((await resolveEndpoints(context, undefined)).addresses).toEqual(["127.0.0.1:7400"]);
    world.files.set(".unum/dev.json", devFile);
    world.alive.add(7);
    expect((await resolveEndpoints(context, undefined)).addresses).toEqual(["127.0.0.1:7403", "127.0.0.1:7404"]);
    world.environment["UNUM_ENDPOINT"] = "10.0.0.1:7400";
    expect((await resolveEndpoints(context, undefined)).addresses).toEqual(["10.0.0.1:7400"]);
    expect((await resolveEndpoints(context, "unum://a:1, b:2")).addresses).toEqual(["a:1", "b:2"]);
  });

  it("ignores the file of a dev cluster that is gone, and a file that is damaged", async () => {
    const world = new FakeWorld();
    world.files.set(".unum/dev.json", devFile);
    expect((await resolveEndpoints(world.context(), undefined)).source).toBe("default");
    world.alive.add(7);
    for (const text of ["{", "null", '{"pid":7}', '{"pid":7,"data":"d","nodes":[],"endpoints":["nowhere"]}']) {
      world.files.set(".unum/dev.json", utf8Encode(text));
      expect((await resolveEndpoints(world.context(), undefined)).source).toBe("default");
    }
  });
});

describe("ports", () => {
  it("are the first run of free ones, so that node i listens on port + i", async () => {
    const world = new FakeWorld();
    expect(await freePorts(world.context(), 7400, 3)).toBe(7400);
    world.takenPorts.add(7401).add(7403);
    expect(await freePorts(world.context(), 7400, 3)).toBe(7404);
    expect(await freePorts(world.context(), 7400, 1)).toBe(7400);
  });
});

describe("standard output", () => {
  it("carries the stored bytes and nothing else with --raw", async () => {
    const world = new FakeWorld();
    world.input = "line\n";
    expect(await runCli(world.context(), ["kv", "put", "k", "-", "--raw"])).toBe(0);
    world.out.length = 0;
    expect(await runCli(world.context(), ["kv", "get", "k", "--raw"])).toBe(0);
    expect(world.out.join("")).toBe("line\n");
  });

  it("is empty when a command fails", async () => {
    const world = new FakeWorld();
    world.store.get = () => Promise.reject(new UnumError("TIMEOUT"));
    expect(await runCli(world.context(), ["kv", "get", "k", "--json"])).toBe(1);
    expect(world.out).toEqual([]);
    expect(world.err.join("")).toMatch(/^unum: TIMEOUT: /);
  });
});

describe("snapshot save", () => {
  it("writes the whole file, and leaves an existing one alone without --yes", async () => {
    const world = new FakeWorld();
    expect(await runCli(world.context(), ["snapshot", "save", "b.unum"])).toBe(0);
    expect(utf8Decode(world.files.get("b.unum") ?? new Uint8Array(0))).toBe("backup");
    expect(await runCli(world.context(), ["snapshot", "save", "b.unum"])).toBe(2);
    expect(await runCli(world.context(), ["snapshot", "save", "b.unum", "--yes"])).toBe(0);
  });
});
