import { UnumError, crc32, utf8Encode, utf8TryDecode } from "../base/index.ts";
import { DiskError } from "../ports/index.ts";
import type { Disk } from "../ports/index.ts";
import { readWhole } from "./files.ts";
import { formatVersion } from "./format.ts";

const paths = ["IDENTITY.0", "IDENTITY.1"] as const;

/**
 * What a directory says about its node, as small JSON, kept twice: the first line is
 * `UNUM-IDENTITY <format version> <generation> <crc of generation and JSON>`, the rest is the JSON. From version 2 on the check covers the
 * version, too, in front of the generation: one flipped digit is damage then, not a format that nobody has written.
 */
interface Copy {
  readonly path: string;
  readonly generation: number;
  readonly value: unknown;
}

function checkOf(version: string, generation: string, json: string): string {
  return crc32(utf8Encode(`${version === "1" ? "" : `${version} `}${generation} ${json}`))
    .toString(16)
    .padStart(8, "0");
}

/** Undefined when the file is missing, "damaged" when its check fails. Throws DATA_DIR_FORMAT for a newer format. */
async function readCopy(disk: Disk, path: string): Promise<Copy | "damaged" | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readWhole(disk, path);
  } catch (error) {
    if (error instanceof DiskError && error.code === "missing") return undefined;
    throw error;
  }
  const match = /^UNUM-IDENTITY (\d+) (\d+) ([0-9a-f]{8})\n([\s\S]*)$/.exec(utf8TryDecode(bytes) ?? "");
  if (match === null) return "damaged";
  const [, version = "", generation = "", check = "", json = ""] = match;
  if (check !== checkOf(version, generation, json)) return "damaged";
  if (Number(version) > formatVersion) {
    throw new UnumError(
      "DATA_DIR_FORMAT",
      `${path} has format version ${version}; this build reads up to ${formatVersion}. Run the version that wrote it.`,
    );
  }
  return { path, generation: Number(generation), value: JSON.parse(json) as unknown };
}

async function readCopies(disk: Disk): Promise<{ readonly newest: Copy | undefined; readonly damaged: boolean }> {
  let newest: Copy | undefined;
  let damaged = false;
  for (const path of paths) {
    const copy = await readCopy(disk, path);
    if (copy === "damaged") damaged = true;
    else if (copy !== undefined && (newest === undefined || copy.generation > newest.generation)) newest = copy;
  }
  return { newest, damaged };
}

/** Undefined in an empty directory. Rejects with CORRUPT when there are copies and none is intact. */
export async function readIdentity(disk: Disk): Promise<unknown> {
  const { newest, damaged } = await readCopies(disk);
  if (newest === undefined && damaged) {
    throw new UnumError(
      "CORRUPT",
      "Both copies of the data directory's identity are damaged. Nothing is deleted; remove the directory, so that the node joins as a new one.",
    );
  }
  return newest?.value;
}

/** Replaces the identity; durable in both copies when it fulfils. A crash leaves the old or the new one. */
export async function writeIdentity(disk: Disk, value: unknown): Promise<void> {
  const { newest } = await readCopies(disk);
  const generation = String((newest?.generation ?? 0) + 1);
  const json = `${JSON.stringify(value, undefined, 2)}\n`;
  const bytes = utf8Encode(`UNUM-IDENTITY ${formatVersion} ${generation} ${checkOf(String(formatVersion), generation, json)}\n${json}`);
  for (const path of paths) await writeCopy(disk, path, bytes);
}

async function writeCopy(disk: Disk, path: string, bytes: Uint8Array): Promise<void> {
  await disk.remove(`${path}.part`);
  const file = await disk.open(`${path}.part`, { create: true, lane: "bulk" });
  try {
    await file.writeAt(0, [bytes], { sync: true });
  } finally {
    await file.close();
  }
  await disk.rename(`${path}.part`, path);
  await disk.syncDirectory("");
}

/**
 * Writes the newest copy in the place of one that is older, damaged or missing, as a crash between the two writes or a bad sector left
 * it: until then the newest word stands only once. Nothing in an empty directory, or where no copy is intact.
 */
export async function mendIdentity(disk: Disk): Promise<void> {
  const { newest } = await readCopies(disk);
  if (newest === undefined) return;
  for (const path of paths) {
    const copy = await readCopy(disk, path);
    if (copy !== undefined && copy !== "damaged" && copy.generation === newest.generation) continue;
    await writeCopy(disk, path, await readWhole(disk, newest.path));
  }
}

/** Held until released or until the process ends. Rejects with DATA_DIR_LOCKED, naming the holder's pid. */
export async function lockDataDirectory(disk: Disk): Promise<{ release(): Promise<void> }> {
  try {
    return await disk.lock("LOCK");
  } catch (error) {
    if (!(error instanceof DiskError) || error.code !== "locked") throw error;
    const holder = error.pid === undefined ? "another process" : `process ${error.pid}`;
    throw new UnumError("DATA_DIR_LOCKED", `The data directory is in use by ${holder}. Stop it, or give this one a directory of its own.`, {
      details: error.pid === undefined ? {} : { pid: error.pid },
    });
  }
}
