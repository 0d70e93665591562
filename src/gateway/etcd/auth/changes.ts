import { compareBytes, utf8Encode } from "../../../base/index.ts";
import { rootName } from "./state.ts";
import type { AuthState, PasswordHash, Permission, Role, User } from "./state.ts";
import { etcdErrors } from "../../../etcd/index.ts";

/** Throws the `GrpcError` with which etcd refuses. The same state: nothing is changed, and that is no error. */
export type AuthChange = (state: AuthState) => AuthState;

export function enable(state: AuthState): AuthState {
  if (state.enabled) return state;
  const root = state.users.get(rootName);
  if (root === undefined) throw etcdErrors.rootUserNotExist();
  if (!root.roles.includes(rootName)) throw etcdErrors.rootRoleNotExist();
  // The revision stays, as in etcd: nobody's rights have changed.
  return { ...state, enabled: true };
}

/** `secret`: signs the tokens from now on. */
export function disable(secret: string): AuthChange {
  return (state) => (state.enabled ? { ...state, enabled: false, secret, revision: state.revision + 1 } : state);
}

export function addUser(name: string, password: PasswordHash | undefined, noPassword: boolean): AuthChange {
  return (state) => {
    if (name === "") throw etcdErrors.userEmpty();
    if (state.users.has(name)) throw etcdErrors.userAlreadyExist();
    return withUser(state, { name, password, noPassword, roles: [], since: state.revision + 1 });
  };
}

export function deleteUser(name: string): AuthChange {
  return (state) => {
    if (state.enabled && name === rootName) throw etcdErrors.invalidAuthManagement();
    userOf(state, name);
    const users = new Map(state.users);
    users.delete(name);
    return { ...state, users, revision: state.revision + 1 };
  };
}

export function changePassword(name: string, password: PasswordHash): AuthChange {
  return (state) => withUser(state, { ...userOf(state, name), password, since: state.revision + 1 });
}

export function grantRole(name: string, role: string): AuthChange {
  return (state) => {
    const user = userOf(state, name);
    // The role root need not exist: that it is granted is what counts.
    if (role !== rootName) roleOf(state, role);
    if (user.roles.includes(role)) return state;
    return withUser(state, { ...user, roles: inOrder([...user.roles, role]) });
  };
}

export function revokeRole(name: string, role: string): AuthChange {
  return (state) => {
    if (state.enabled && name === rootName && role === rootName) throw etcdErrors.invalidAuthManagement();
    const user = userOf(state, name);
    if (!user.roles.includes(role)) throw etcdErrors.roleNotGranted();
    return withUser(state, { ...user, roles: user.roles.filter((other) => other !== role) });
  };
}

export function addRole(name: string): AuthChange {
  return (state) => {
    if (name === "") throw etcdErrors.roleEmpty();
    if (state.roles.has(name)) throw etcdErrors.roleAlreadyExist();
    return withRole(state, { name, permissions: [] });
  };
}

/** Of all users, too. */
export function deleteRole(name: string): AuthChange {
  return (state) => {
    if (state.enabled && name === rootName) throw etcdErrors.invalidAuthManagement();
    roleOf(state, name);
    const roles = new Map(state.roles);
    roles.delete(name);
    const users = new Map<string, User>();
    for (const user of state.users.values()) users.set(user.name, { ...user, roles: user.roles.filter((role) => role !== name) });
    return { ...state, roles, users, revision: state.revision + 1 };
  };
}

export function grantPermission(name: string, permission: Permission | undefined): AuthChange {
  return (state) => {
    if (permission === undefined) throw etcdErrors.permissionNotGiven();
    if (!isRange(permission)) throw etcdErrors.invalidAuthManagement();
    const role = roleOf(state, name);
    const isSame = (other: Permission): boolean => other.key === permission.key && other.end === permission.end;
    const permissions = role.permissions.some(isSame)
      ? role.permissions.map((other) => (isSame(other) ? permission : other))
      : [...role.permissions, permission].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
    return withRole(state, { name, permissions });
  };
}

export function revokePermission(name: string, key: string, end: string): AuthChange {
  return (state) => {
    const role = roleOf(state, name);
    const permissions = role.permissions.filter((other) => other.key !== key || other.end !== end);
    if (permissions.length === role.permissions.length) throw etcdErrors.permissionNotGranted();
    return withRole(state, { name, permissions });
  };
}

export function userOf(state: AuthState, name: string): User {
  const user = state.users.get(name);
  if (user === undefined) throw etcdErrors.userNotFound();
  return user;
}

export function roleOf(state: AuthState, name: string): Role {
  const role = state.roles.get(name);
  if (role === undefined) throw etcdErrors.roleNotFound();
  return role;
}

/** By their bytes, as etcd lists them. */
export function inOrder(names: Iterable<string>): string[] {
  return [...names].sort((a, b) => compareBytes(utf8Encode(a), utf8Encode(b)));
}

function isRange({ end, key }: Permission): boolean {
  return key !== "" && (end === "" || end === "\0" || key < end);
}

function withUser(state: AuthState, user: User): AuthState {
  return { ...state, users: new Map(state.users).set(user.name, user), revision: state.revision + 1 };
}

function withRole(state: AuthState, role: Role): AuthState {
  return { ...state, roles: new Map(state.roles).set(role.name, role), revision: state.revision + 1 };
}
