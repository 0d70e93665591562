import type { CliContext } from "../context.ts";
import { Mistake } from "../failure.ts";
import { closest } from "../suggest.ts";
import { etcdFlagNames, etcdFlagOf, etcdFlags } from "./flags.ts";
import type { EtcdFlag, EtcdFlagName } from "./flags.ts";
import { readYaml } from "./yaml.ts";
import type { YamlGroup } from "./yaml.ts";
import { utf8Decode } from "../../base/index.ts";

/** What was asked for, by etcd's names. */
export interface EtcdInput {
  /** As it was written; undefined: not given. */
  given(name: EtcdFlagName): string | undefined;
  /** As it was written, else etcd's default. */
  text(name: EtcdFlagName): string;
  isOn(name: EtcdFlagName): boolean;
  number(name: EtcdFlagName): number;
  durationMs(name: EtcdFlagName): number;
  list(name: EtcdFlagName): readonly string[];
  /** Where it came from: "--name", "ETCD_NAME", "name in FILE". */
  source(name: EtcdFlagName): string;
  /** Flags that were given and have no effect. */
  readonly withoutEffect: readonly EtcdFlagName[];
  /** Variables that look like etcd's and are none. */
  readonly unknownVariables: readonly string[];
}

interface Given {
  readonly text: string;
  readonly source: string;
}

/** Variables of etcd's that are no flags: of images, units and etcdctl's neighbours. */
const otherVariables: ReadonlySet<string> = new Set(["ETCD_VERSION", "ETCD_UNSUPPORTED_ARCH", "ETCD_VERIFY", "ETCD_GIT_SHA"]);

/** Go's flags: `-name`, `--name`, `=value` or the next word; a switch takes its value only behind "=". Throws `Mistake`. */
export function parseEtcdArgs(args: readonly string[]): Map<EtcdFlagName, Given> {
  const found = new Map<EtcdFlagName, Given>();
  for (let at = 0; at < args.length; at++) {
    const word = args[at] ?? "";
    const match = /^--?([^=-][^=]*)(?:=(.*))?$/s.exec(word);
    if (match === null) throw new Mistake(`"${word}" is not a flag of etcd`, "see: unum etcd --help");
    const name = etcdFlagOf(match[1] ?? "");
    if (name === undefined) throw unknownFlag(match[1] ?? "");
    let text = match[2];
    if (text === undefined && etcdFlags[name].kind === "switch") text = "true";
    if (text === undefined) {
      at++;
      if (at >= args.length) throw new Mistake(`--${name} needs a value`, `--${name}: ${etcdFlags[name].meaning}`);
      text = args[at] ?? "";
    }
    found.set(name, { text, source: `--${match[1]}` });
  }
  return found;
}

function unknownFlag(name: string): Mistake {
  const near = closest(name, etcdFlagNames);
  return new Mistake(`etcd has no flag --${name}`, near === undefined ? "see: unum etcd --help" : `did you mean "--${near}"?`);
}

/** Flags, then variables, then defaults; or the configuration file alone. Throws `Mistake`. */
export async function readEtcdInput(context: CliContext, args: readonly string[]): Promise<EtcdInput> {
  const found = parseEtcdArgs(args);
  const unknownVariables: string[] = [];
  readVariables(context.processes.environment, found, unknownVariables);
  const file = found.get("config-file")?.text ?? "";
  if (file === "") return new Input(found, unknownVariables);
  const bytes = await context.files.read(file);
  if (bytes === undefined) throw new Mistake(`--config-file: there is no file ${file}`, "name etcd's YAML file");
  return new Input(readConfiguration(utf8Decode(bytes), file), []);
}

function readVariables(environment: CliContext["processes"]["environment"], found: Map<EtcdFlagName, Given>, unknown: string[]): void {
  for (const [variable, text] of Object.entries(environment)) {
    if (text === undefined || !variable.startsWith("ETCD_") || otherVariables.has(variable)) continue;
    const name = etcdFlagOf(variable.slice("ETCD_".length).toLowerCase().replaceAll("_", "-"));
    if (name === undefined) unknown.push(variable);
    else if (!found.has(name) && text !== "") found.set(name, { text, source: variable });
  }
}

const transports: Readonly<Record<string, string>> = { "client-transport-security": "", "peer-transport-security": "peer-" };

/** Names in groups of the file that are not the flag's: the group says whom they are for. */
function transportFlag(prefix: string, name: string): EtcdFlagName | undefined {
  if (prefix === "" && name === "ca-file") return "trusted-ca-file";
  const plain = { "allowed-cn": "cert-allowed-cn", "allowed-hostname": "cert-allowed-hostname" }[name] ?? name;
  return prefix === "" && name === "allowed-hostname" ? "client-cert-allowed-hostname" : etcdFlagOf(`${prefix}${plain}`);
}

/** Exported for tests. */
export function readConfiguration(text: string, path: string): Map<EtcdFlagName, Given> {
  const found = new Map<EtcdFlagName, Given>();
  const take = (name: EtcdFlagName | undefined, label: string, value: YamlGroup[string]): void => {
    if (name === undefined || name === "config-file")
      throw new Mistake(`${path}: ${label} is not known`, "names are those of etcd's flags");
    const written = typeof value === "string" ? value : Array.isArray(value) ? value.join(",") : undefined;
    if (written === undefined) throw new Mistake(`${path}: ${label} takes a value, not a group`, `write ${label}: …`);
    if (written !== "") found.set(name, { text: written, source: `${label} in ${path}` });
  };
  for (const [name, value] of Object.entries(readYaml(text, path))) {
    const prefix = transports[name];
    if (prefix === undefined) take(etcdFlagOf(name), name, value);
    else if (typeof value === "object" && !Array.isArray(value)) {
      for (const [inner, given] of Object.entries(value)) take(transportFlag(prefix, inner), `${name}.${inner}`, given);
    } else if (value !== "") throw new Mistake(`${path}: ${name} is a group`, "indent what belongs to it");
  }
  return found;
}

const unitsMs: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };

/** A duration of Go's, "1h30m", in milliseconds; undefined when it is none. */
export function goDurationMs(text: string): number | undefined {
  if (text === "0") return 0;
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let total = 0;
  for (const [, value = "", unit = ""] of text.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g))
    total += Number(value) * (unitsMs[unit] ?? 0);
  return total;
}

const truths: Readonly<Record<string, boolean>> = { "1": true, t: true, T: true, true: true, TRUE: true, True: true };
const untruths: ReadonlySet<string> = new Set(["0", "f", "F", "false", "FALSE", "False"]);

class Input implements EtcdInput {
  readonly withoutEffect: readonly EtcdFlagName[];
  readonly unknownVariables: readonly string[];
  private readonly found: ReadonlyMap<EtcdFlagName, Given>;

  constructor(found: ReadonlyMap<EtcdFlagName, Given>, unknownVariables: readonly string[]) {
    this.found = found;
    this.unknownVariables = unknownVariables;
    this.withoutEffect = [...found.keys()].filter((name) => etcdFlags[name].treatment === "accepted");
    for (const name of found.keys()) this.check(name);
  }

  given(name: EtcdFlagName): string | undefined {
    return this.found.get(name)?.text;
  }

  text(name: EtcdFlagName): string {
    return this.given(name) ?? etcdFlags[name].fallback;
  }

  source(name: EtcdFlagName): string {
    return this.found.get(name)?.source ?? `--${name}`;
  }

  isOn(name: EtcdFlagName): boolean {
    return truths[this.text(name)] ?? false;
  }

  number(name: EtcdFlagName): number {
    return Number(this.text(name));
  }

  durationMs(name: EtcdFlagName): number {
    return goDurationMs(this.text(name)) ?? 0;
  }

  list(name: EtcdFlagName): readonly string[] {
    return this.text(name)
      .split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "");
  }

  private check(name: EtcdFlagName): void {
    const flag: EtcdFlag = etcdFlags[name];
    const text = this.text(name);
    const fault = faultOf(flag, text);
    if (fault !== undefined) throw new Mistake(`${this.source(name)} ${fault}, not "${text}"`, `--${name}: ${flag.meaning}`);
    if (flag.treatment !== "refused" || flag.harmless.includes(flag.kind === "switch" ? String(this.isOn(name)) : text)) return;
    throw new Mistake(`${this.source(name)} is not supported: ${flag.meaning}`, "leave it out");
  }
}

function faultOf({ kind }: EtcdFlag, text: string): string | undefined {
  if (kind === "switch") return text in truths || untruths.has(text) ? undefined : "takes true or false";
  if (kind === "number") return /^\d+(\.\d+)?$/.test(text) ? undefined : "takes a number";
  if (kind === "duration") return goDurationMs(text) === undefined ? 'takes a time such as "5s" or "1h30m"' : undefined;
  return undefined;
}
