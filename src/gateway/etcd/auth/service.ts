import { latin1Decode, latin1Encode } from "../../../base/index.ts";
import { defineService } from "../grpc/index.ts";
import type { Call, Method } from "../grpc/index.ts";
import { Auth, Code, GrpcError, etcdErrors, type Permission_Type } from "../../../etcd/index.ts";
import type { Ground, HeaderFields } from "../service.ts";
import * as change from "./changes.ts";
import type { AuthChange } from "./changes.ts";
import type { AuthKeeper } from "./keeper.ts";
import type { Passwords } from "./passwords.ts";
import type { Rights } from "./rights.ts";
import { emptyState } from "./state.ts";
import type { AuthState, User } from "./state.ts";
import type { Tokens } from "./tokens.ts";

export interface AuthHouse {
  readonly keeper: AuthKeeper;
  readonly tokens: Tokens;
  readonly passwords: Passwords;
}

interface Desk {
  answer(): { readonly header: HeaderFields };
  /** Changes the record for a call of an administrator's. */
  administer(call: Call, next: AuthChange): Promise<{ readonly header: HeaderFields }>;
  /** The newest record, if its `ask` lets the call see it. */
  see(call: Call, ask: (rights: Rights) => void): Promise<AuthState>;
}

function deskOf(ground: Ground, keeper: AuthKeeper): Desk {
  const { access } = ground;
  const answer: Desk["answer"] = () => ({ header: ground.header(ground.kv.revision) });
  return {
    answer,
    administer: async (call, next) => {
      await keeper.change(next, (known) => access.rightsAt(call, known).administer());
      return answer();
    },
    see: async (call, ask) => {
      await keeper.confirm();
      await keeper.ready();
      const known = keeper.current;
      ask(access.rightsAt(call, known));
      return known?.state ?? emptyState("");
    },
  };
}

export function authService(ground: Ground, house: AuthHouse): readonly Method[] {
  const { keeper, passwords, tokens } = house;
  const { administer, answer, see } = deskOf(ground, keeper);
  return defineService(Auth, {
    authEnable: async (_request, call) => administer(call, change.enable),
    authDisable: async (_request, call) => administer(call, change.disable(keeper.secret())),

    authStatus: async (_request, call) => {
      const { enabled, revision } = await see(call, () => undefined);
      return { ...answer(), enabled, authRevision: BigInt(revision) };
    },

    authenticate: async (request, call) => {
      await keeper.confirm();
      await keeper.ready();
      await checkPassword(house, call, request.name, request.password);
      const state = keeper.current?.state;
      if (state === undefined) throw etcdErrors.authNotEnabled();
      return { ...answer(), token: tokens.issue(state, request.name) };
    },

    userAdd: async (request, call) => {
      const noPassword = request.options?.noPassword ?? false;
      // Nobody's password is stretched for a request that will be refused.
      await see(call, (rights) => rights.administer());
      const password = noPassword ? undefined : await passwords.hash(request.password, () => !call.isOver);
      return administer(call, change.addUser(request.name, password, noPassword));
    },

    userGet: async (request, call) => {
      const state = await see(call, (rights) => rights.seeUser(request.name));
      return { ...answer(), roles: [...change.userOf(state, request.name).roles] };
    },

    userList: async (_request, call) => {
      const state = await see(call, (rights) => rights.administer());
      return { ...answer(), users: change.inOrder(state.users.keys()) };
    },

    userDelete: async (request, call) => administer(call, change.deleteUser(request.name)),

    userChangePassword: async (request, call) => {
      await see(call, (rights) => rights.administer());
      return administer(call, change.changePassword(request.name, await passwords.hash(request.password, () => !call.isOver)));
    },

    userGrantRole: async (request, call) => administer(call, change.grantRole(request.user, request.role)),
    userRevokeRole: async (request, call) => administer(call, change.revokeRole(request.name, request.role)),
    roleAdd: async (request, call) => administer(call, change.addRole(request.name)),

    roleGet: async (request, call) => {
      const state = await see(call, (rights) => rights.seeRole(request.role));
      const { permissions } = change.roleOf(state, request.role);
      return {
        ...answer(),
        perm: permissions.map(({ end, key, type }) => ({
          permType: type as Permission_Type,
          key: latin1Encode(key),
          rangeEnd: latin1Encode(end),
        })),
      };
    },

    roleList: async (_request, call) => {
      const state = await see(call, (rights) => rights.administer());
      return { ...answer(), roles: change.inOrder(state.roles.keys()) };
    },

    roleDelete: async (request, call) => administer(call, change.deleteRole(request.role)),

    roleGrantPermission: async ({ name, perm }, call) => {
      const permission =
        perm === undefined ? undefined : { key: latin1Decode(perm.key), end: latin1Decode(perm.rangeEnd), type: perm.permType };
      return administer(call, change.grantPermission(name, permission));
    },

    roleRevokePermission: async (request, call) =>
      administer(call, change.revokePermission(request.role, latin1Decode(request.key), latin1Decode(request.rangeEnd))),
  });
}

/** Throws unless this is the password that the user has when it was found to be right. */
async function checkPassword({ keeper, passwords }: AuthHouse, call: Call, name: string, password: string): Promise<void> {
  for (;;) {
    const user = userAt(keeper.current?.state, name);
    if (user?.noPassword === true) {
      throw new GrpcError(Code.unknown, "auth: authentication failed, password was given for no password user");
    }
    if (!(await passwords.matches(password, user?.password, () => !call.isOver))) throw etcdErrors.authFailed();
    if (userAt(keeper.current?.state, name)?.since === user?.since) return;
  }
}

function userAt(state: AuthState | undefined, name: string): User | undefined {
  if (state === undefined || !state.enabled) throw etcdErrors.authNotEnabled();
  return state.users.get(name);
}
