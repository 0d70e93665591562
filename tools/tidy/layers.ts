/**
 * The import table: who may know whom. TypeScript's project references allow whatever a referenced
 * project references in turn; this table is exact.
 */
export type Need =
  /** Anything that the folder's door exports. */
  | "all"
  /** The contract only: `types.ts` of that folder, or types from its door. */
  | "contract"
  /** Nothing that remains at run time. */
  | "types";

export interface Layer {
  /** The folder under `src/`. */
  readonly folder: string;
  readonly imports: Readonly<Record<string, Need>>;
  readonly packages: readonly string[];
  /** No I/O, clock, entropy or async: the compiler offers these folders no platform, and neither does this. */
  readonly pure: boolean;
  /** May import `node:*`. */
  readonly platform: boolean;
}

const layer = (folder: string, imports: Readonly<Record<string, Need>>, more: Partial<Layer> = {}): Layer => ({
  folder,
  imports,
  packages: [],
  pure: false,
  platform: false,
  ...more,
});

const everything: Readonly<Record<string, Need>> = {
  base: "all",
  ports: "all",
  raft: "all",
  machine: "all",
  "machine/commands": "all",
  wire: "all",
  storage: "all",
  replica: "all",
  runtime: "all",
  api: "all",
};

export const layers: readonly Layer[] = [
  layer("base", {}, { pure: true }),
  layer("ports", { base: "all" }, { pure: true }),
  layer("raft", { base: "all" }, { pure: true }),
  layer("machine", { base: "all" }, { pure: true }),
  layer("wire", { base: "all", raft: "contract", machine: "contract" }, { pure: true }),
  layer("storage", { base: "all", ports: "all", wire: "all", raft: "contract" }),
  layer("replica", { base: "all", ports: "all", raft: "all", machine: "all", "machine/commands": "all", wire: "all", storage: "all" }),
  layer("runtime", {
    base: "all",
    ports: "all",
    raft: "all",
    machine: "all",
    "machine/commands": "all",
    wire: "all",
    storage: "all",
    replica: "all",
  }),
  layer("api", { base: "all", wire: "all", ports: "types", machine: "contract", "machine/commands": "all" }, { packages: ["croner"] }),
  layer("etcd", { base: "all" }, { packages: ["@bufbuild/protobuf", "@bufbuild/protobuf/codegenv2", "@bufbuild/protobuf/wkt"] }),
  layer(
    "backends",
    { base: "all", ports: "all", wire: "all", api: "types", "machine/commands": "all", etcd: "all" },
    { packages: ["@bufbuild/protobuf"] },
  ),
  layer("gateway", { base: "all", ports: "all", api: "all", etcd: "all" }, { packages: ["@bufbuild/protobuf", "@bufbuild/protobuf/wkt"] }),
  layer("dashboard", { base: "all", ports: "all", api: "all" }),
  layer("cli", { base: "all", ports: "all", api: "all" }, { packages: ["commander"] }),
  layer("platform", { base: "all", ports: "all" }, { platform: true }),
  layer("sim", { ...everything, gateway: "all", etcd: "all" }, { packages: ["@bufbuild/protobuf"] }),
  layer("testing", { base: "all", ports: "all", wire: "all", runtime: "types", api: "all", sim: "all" }),
];

/** The only files that choose adapters and join api to runtime. */
const roots: readonly RegExp[] = [/^src\/[^/]+\.ts$/, /^src\/(cli|sim)\/main\.ts$/];

export function isRoot(path: string): boolean {
  return roots.some((root) => root.test(path)) && !isTest(path);
}

/** Tests, contract suites and golden runners: they may reach anything, since nothing may import them. */
export function isTest(path: string): boolean {
  return /\.(test|contract|golden)\.ts$/.test(path);
}

/** The folder that a file under `src/` belongs to; `machine/commands` has a door of its own. */
export function folderOf(path: string): string | undefined {
  if (path.startsWith("src/machine/commands/")) return "machine/commands";
  return /^src\/([^/]+)\//.exec(path)?.[1];
}

export function layerOf(path: string): Layer | undefined {
  const folder = /^src\/([^/]+)\//.exec(path)?.[1];
  return layers.find((candidate) => candidate.folder === folder);
}

/** Through which file a folder may be entered from another one. */
export function isDoor(path: string): boolean {
  return /^src\/((platform|gateway)\/)?[^/]+\/(index|types)\.ts$/.test(path) || path === "src/machine/commands/index.ts";
}
