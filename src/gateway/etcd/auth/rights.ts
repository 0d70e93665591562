import { intervalOf, Ranges } from "./ranges.ts";
import { rootName } from "./state.ts";
import type { AuthState, User } from "./state.ts";
import { etcdErrors } from "../../../etcd/index.ts";

/** What a call may do. Each method throws the `GrpcError` that refuses. Keys are byte strings, ends as in etcd's ranges. */
export interface Rights {
  /** Nothing is refused. */
  readonly isFree: boolean;
  read(key: string, end: string): void;
  write(key: string): void;
  remove(key: string, end: string): void;
  /** For what only the role root may do. */
  administer(): void;
  /** For what any user may do. */
  known(): void;
  /** The user itself, or an administrator. */
  seeUser(name: string): void;
  /** Whoever has the role, or an administrator. */
  seeRole(name: string): void;
}

const pass = (): void => undefined;

/** Authentication is not enabled: everybody may do everything. */
export const freeRights: Rights = {
  isFree: true,
  read: pass,
  write: pass,
  remove: pass,
  administer: pass,
  known: pass,
  seeUser: pass,
  seeRole: pass,
};

const refuse = (): never => {
  throw etcdErrors.userEmpty();
};

/** Authentication is enabled, and the call says nobody's name. */
export const nobodysRights: Rights = {
  isFree: false,
  read: refuse,
  write: refuse,
  remove: refuse,
  administer: refuse,
  known: refuse,
  // As in etcd, who has no name may see the user that has none; there is none.
  seeUser: (name) => (name === "" ? undefined : refuse()),
  seeRole: refuse,
};

/** Of a name that a token or a certificate says. There need not be such a user. */
export function rightsOf(state: AuthState, name: string): Rights {
  const user = state.users.get(name);
  return user?.roles.includes(rootName) === true ? rootsRights : new UsersRights(state, name, user);
}

const rootsRights: Rights = { ...freeRights };

class UsersRights implements Rights {
  readonly isFree: boolean = false;
  private readonly name: string;
  private readonly user: User | undefined;
  private readonly readable: Ranges;
  private readonly writable: Ranges;

  constructor(state: AuthState, name: string, user: User | undefined) {
    this.name = name;
    this.user = user;
    const permissions = (user?.roles ?? []).flatMap((role) => state.roles.get(role)?.permissions ?? []);
    const rangesOf = (types: readonly number[]): Ranges =>
      new Ranges(permissions.filter(({ type }) => types.includes(type)).map(({ key, end }) => intervalOf(key, end)));
    this.readable = rangesOf([0, 2]);
    this.writable = rangesOf([1, 2]);
  }

  read(key: string, end: string): void {
    if (!this.readable.covers(intervalOf(key, end))) throw etcdErrors.permissionDenied();
  }

  write(key: string): void {
    this.remove(key, "");
  }

  remove(key: string, end: string): void {
    if (!this.writable.covers(intervalOf(key, end))) throw etcdErrors.permissionDenied();
  }

  administer(): void {
    if (this.name === "") throw etcdErrors.userEmpty();
    throw this.user === undefined ? etcdErrors.userNotFound() : etcdErrors.permissionDenied();
  }

  known(): void {
    // Whoever says a name is known; what it may do is asked elsewhere.
  }

  seeUser(name: string): void {
    if (name !== this.name) this.administer();
  }

  seeRole(name: string): void {
    if (this.user?.roles.includes(name) !== true) this.administer();
  }
}
