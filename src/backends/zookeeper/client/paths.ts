import { UnumError } from "../../../base/index.ts";
import { parseAddress } from "../../../ports/index.ts";
import type { Address } from "../../../ports/index.ts";

/** Where an ensemble listens when nothing else is said. */
export const defaultPort = 2181;

const serversMax = 64;

function refuse(path: string, why: string): never {
  throw new UnumError("INVALID_ARGUMENT", `${JSON.stringify(path)} is no path of ZooKeeper's: ${why}. Nothing was sent.`, {
    details: { path },
  });
}

/** Controls, and what ZooKeeper does not take within names: surrogates, so all beyond U+FFFF, the private use area and the specials. */
const forbidden = /[\u0000-\u001f\u007f-\u009f\ud800-\uf8ff\ufff0-\uffff]/;

/** A path that a server takes: "/", or names behind slashes. Throws INVALID_ARGUMENT. A sequential node's path may end in "/": its name is the number alone. */
export function checkPath(path: string, sequential = false): void {
  const whole = sequential ? `${path}1` : path;
  if (!whole.startsWith("/")) refuse(path, "it does not begin with a slash");
  if (forbidden.test(whole)) refuse(path, "it has characters that ZooKeeper does not take");
  if (whole === "/") return;
  for (const name of whole.slice(1).split("/")) {
    if (name === "") refuse(path, "it has an empty name");
    if (name === "." || name === "..") refuse(path, "it is relative");
  }
}

/** What the session's paths lie below at the servers. */
export class Chroot {
  private readonly prefix: string;

  /** `path`: "" or "/" for none. */
  constructor(path: string) {
    if (path !== "" && path !== "/") checkPath(path);
    this.prefix = path === "/" ? "" : path;
  }

  /** The path at the servers. Throws INVALID_ARGUMENT. */
  add(path: string, sequential = false): string {
    checkPath(path, sequential);
    if (this.prefix === "") return path;
    return path === "/" && !sequential ? this.prefix : this.prefix + path;
  }

  /** The caller's path; one that lies elsewhere stays as it is. */
  strip(path: string): string {
    if (this.prefix === "" || !path.startsWith(this.prefix)) return path;
    const rest = path.slice(this.prefix.length);
    return rest === "" ? "/" : rest.startsWith("/") ? rest : path;
  }
}

export interface ConnectText {
  readonly servers: readonly Address[];
  /** "" when none is named. */
  readonly chroot: string;
}

/** "host:port,host:port/chroot", as ZooKeeper's own clients take it; a server without a port has 2181. Throws INVALID_ARGUMENT. */
export function parseConnectText(text: string): ConnectText {
  const slash = text.indexOf("/");
  const hosts = (slash < 0 ? text : text.slice(0, slash)).split(",").map((host) => host.trim());
  const chroot = slash < 0 ? "" : text.slice(slash);
  if (chroot !== "" && chroot !== "/") checkPath(chroot);
  if (hosts.length > serversMax) throw new UnumError("INVALID_ARGUMENT", `At most ${serversMax} servers may be named.`);
  const servers = hosts.map((host) => {
    const address = host.startsWith(":") ? undefined : (parseAddress(host) ?? parseAddress(`${host}:${defaultPort}`));
    if (address === undefined || host === "")
      throw new UnumError("INVALID_ARGUMENT", `${JSON.stringify(host)} is no server: write host:port.`);
    return address;
  });
  return { servers, chroot };
}
