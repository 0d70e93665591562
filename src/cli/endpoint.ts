import { UnumError, isAddressText, optionTable, readOption, utf8TryDecode } from "../base/index.ts";
import type { CliContext } from "./context.ts";
import { Mistake } from "./failure.ts";

/** Where a running `unum dev` says how it is reached, relative to the directory that it was started in. */
export const devFilePath = ".unum/dev.json";
export const defaultEndpoint = "127.0.0.1:7400";

/** What `unum dev` writes for the other commands. */
export interface DevFile {
  readonly pid: number;
  readonly data: string;
  readonly endpoints: readonly string[];
  readonly nodes: readonly { readonly name: string; readonly address: string; readonly pid: number | null }[];
}

export interface Endpoints {
  readonly addresses: readonly string[];
  /** Where they came from, for messages. */
  readonly source: "--endpoint" | "UNUM_ENDPOINT" | ".unum/dev.json" | "default";
}

/** `--endpoint`, `UNUM_ENDPOINT`, a living `unum dev` in this directory, 127.0.0.1:7400. */
export async function resolveEndpoints(context: CliContext, flag: string | undefined): Promise<Endpoints> {
  if (flag !== undefined) return { addresses: readAddresses(flag, "--endpoint"), source: "--endpoint" };
  const variable = context.processes.environment[optionTable.endpoint.environment];
  if (variable !== undefined && variable !== "") return { addresses: readAddresses(variable, "UNUM_ENDPOINT"), source: "UNUM_ENDPOINT" };
  const dev = await readDevFile(context);
  if (dev !== undefined && context.processes.alive(dev.pid)) return { addresses: dev.endpoints, source: ".unum/dev.json" };
  return { addresses: [defaultEndpoint], source: "default" };
}

function readAddresses(text: string, source: string): readonly string[] {
  const bare = text
    .split(",")
    .map((part) => part.trim().replace(/^unum:\/\//, ""))
    .join(",");
  try {
    return readOption("endpoint", bare, source);
  } catch (error) {
    if (error instanceof UnumError) throw new Mistake(error.message, `for example: --endpoint ${defaultEndpoint}`);
    throw error;
  }
}

/** Undefined when there is none, or when it is not what this version writes. */
export async function readDevFile(context: Pick<CliContext, "files">): Promise<DevFile | undefined> {
  const bytes = await context.files.read(devFilePath);
  const text = bytes === undefined ? undefined : utf8TryDecode(bytes);
  if (text === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    return isDevFile(parsed) ? parsed : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isDevFile(value: unknown): value is DevFile {
  if (typeof value !== "object" || value === null) return false;
  const file = value as Partial<DevFile>;
  return (
    typeof file.pid === "number" &&
    typeof file.data === "string" &&
    Array.isArray(file.nodes) &&
    Array.isArray(file.endpoints) &&
    file.endpoints.length > 0 &&
    file.endpoints.every((item) => typeof item === "string" && isAddressText(item))
  );
}
