import { UnumError } from "../base/index.ts";
import { parseAddress } from "../ports/index.ts";
import type { Address } from "../ports/index.ts";

export interface EngineUrl {
  readonly scheme: string;
  /** At least one. */
  readonly endpoints: readonly Address[];
  readonly user: string | undefined;
  readonly password: string | undefined;
  /** Behind the endpoints, with its first slash; "" when there is none. */
  readonly path: string;
}

/**
 * `scheme://[user[:password]@]host[:port][,host[:port]…][/path]`, as the clients of etcd and ZooKeeper are told where to go. User and
 * password are percent-encoded. Throws INVALID_ARGUMENT, without naming the password.
 */
export function parseEngineUrl(url: string, portDefault: number): EngineUrl {
  const match = /^([a-z]+):\/\/(?:([^@/]*)@)?([^/@?#]+)(\/[^?#]*)?$/.exec(url);
  const [, scheme = "", login, hosts = "", path = ""] = match ?? [];
  if (match === null) throw wrong(url);
  const [user, ...secret] = login?.split(":") ?? [];
  const endpoints = hosts.split(",").map((host) => {
    const address = parseAddress(/:\d+$/.test(host) ? host : `${host}:${portDefault}`);
    if (address === undefined) throw wrong(url);
    return address;
  });
  return {
    scheme,
    endpoints,
    user: user === undefined || user === "" ? undefined : decoded(user, url),
    password: secret.length === 0 ? undefined : decoded(secret.join(":"), url),
    path: path === "/" ? "" : path,
  };
}

function decoded(text: string, url: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw wrong(url);
  }
}

function wrong(url: string): UnumError {
  const shown = url.replace(/\/\/[^@/]*@/, "//…@");
  return new UnumError(
    "INVALID_ARGUMENT",
    `"${shown}" is no address of an engine; write scheme://host:port, or several as host:port,host:port.`,
  );
}
