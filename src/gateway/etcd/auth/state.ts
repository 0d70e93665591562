import { isBytes, isList, isRecord } from "./json.ts";

/** What is kept of a password: never the password. Salt and key in base64. */
export interface PasswordHash {
  readonly salt: string;
  readonly key: string;
  /** As etcd's flag `bcrypt-cost`: each step doubles the work. */
  readonly cost: number;
}

export interface User {
  readonly name: string;
  /** Undefined: there is none, and nobody can log in with one. */
  readonly password: PasswordHash | undefined;
  /** Created so; it stays so when a password is set. */
  readonly noPassword: boolean;
  /** Sorted by bytes. */
  readonly roles: readonly string[];
  /** The auth revision at which tokens of this user began to count: those of before have ended. */
  readonly since: number;
}

export interface Permission {
  /** Byte strings, as everywhere: `end` "" is the single key, "\0" everything from `key` on. */
  readonly key: string;
  readonly end: string;
  /** etcd's numbers: 0 read, 1 write, 2 both. Others permit nothing. */
  readonly type: number;
}

export interface Role {
  readonly name: string;
  /** Sorted by key. */
  readonly permissions: readonly Permission[];
}

/** All of etcd's Auth. Never changed in place. */
export interface AuthState {
  readonly enabled: boolean;
  /** Raised by every change but `enable`. 1 before any. */
  readonly revision: number;
  /** Signs tokens. Replaced when authentication is disabled, so that all of them end. Base64. */
  readonly secret: string;
  readonly users: ReadonlyMap<string, User>;
  readonly roles: ReadonlyMap<string, Role>;
}

export const rootName = "root";

export function emptyState(secret: string): AuthState {
  return { enabled: false, revision: 1, secret, users: new Map(), roles: new Map() };
}

export function encodeState({ enabled, revision, roles, secret, users }: AuthState): string {
  return JSON.stringify({ format: 1, enabled, revision, secret, users: [...users.values()], roles: [...roles.values()] });
}

/** Throws on what was not written by `encodeState`: a gateway that cannot read who may do what lets nobody do anything. */
export function decodeState(text: string): AuthState {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value) || value["format"] !== 1)
    throw new Error("the record of users and roles has a format that this version does not know");
  const { enabled, revision, roles, secret, users } = value;
  if (
    typeof enabled !== "boolean" ||
    !isCount(revision) ||
    typeof secret !== "string" ||
    !isList(users, isUser) ||
    !isList(roles, isRole)
  ) {
    throw new Error("the record of users and roles is damaged");
  }
  return {
    enabled,
    revision,
    secret,
    users: new Map(users.map((user) => [user.name, { ...user, password: user.password ?? undefined }])),
    roles: new Map(roles.map((role) => [role.name, role])),
  };
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

function isText(value: unknown): value is string {
  return typeof value === "string";
}

function isPassword(value: unknown): value is PasswordHash {
  return isRecord(value) && isText(value["salt"]) && isText(value["key"]) && isCount(value["cost"]);
}

function isUser(value: unknown): value is User {
  if (!isRecord(value)) return false;
  const { name, noPassword, password, roles, since } = value;
  const isWhole = isText(name) && typeof noPassword === "boolean" && isList(roles, isText) && isCount(since);
  return isWhole && (password === undefined || isPassword(password));
}

function isRole(value: unknown): value is Role {
  return isRecord(value) && isText(value["name"]) && isList(value["permissions"], isPermission);
}

function isPermission(value: unknown): value is Permission {
  return isRecord(value) && isBytes(value["key"]) && isBytes(value["end"]) && typeof value["type"] === "number";
}
