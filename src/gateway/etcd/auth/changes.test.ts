import { describe, expect, it } from "vitest";
import * as change from "./changes.ts";
import type { AuthChange } from "./changes.ts";
import { freeRights, nobodysRights, rightsOf } from "./rights.ts";
import { decodeState, emptyState, encodeState } from "./state.ts";
import type { AuthState, PasswordHash } from "./state.ts";
import { GrpcError } from "../../../etcd/index.ts";

const hash: PasswordHash = { salt: "c2FsdA==", key: "a2V5", cost: 4 };
const made = (...changes: readonly AuthChange[]): AuthState => changes.reduce((state, next) => next(state), emptyState("first"));

function refusalOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof GrpcError) return `${error.code} ${error.message}`;
    throw error;
  }
  return "done";
}

const root = [change.addUser("root", hash, false), change.grantRole("root", "root")] as const;

describe("changes of users and roles", () => {
  it("raise the revision by one each, except those that change nothing", () => {
    const state = made(...root, change.addRole("r"), change.grantRole("root", "r"));
    expect(emptyState("s").revision).toBe(1);
    expect(state.revision).toBe(5);
    expect(change.grantRole("root", "r")(state)).toBe(state);
    const enabled = change.enable(state);
    expect(enabled.revision).toBe(5);
    expect(change.enable(enabled)).toBe(enabled);
    expect(change.disable("second")(state)).toBe(state);
    expect(change.disable("second")(enabled)).toMatchObject({ enabled: false, revision: 6, secret: "second" });
  });

  it("are refused in etcd's words", () => {
    const state = change.enable(made(...root, change.addRole("root"), change.addRole("r"), change.addUser("u", undefined, true)));
    const cases: readonly (readonly [AuthState, AuthChange, string])[] = [
      [emptyState(""), change.enable, "9 etcdserver: root user does not exist"],
      [made(change.addUser("root", hash, false)), change.enable, "9 etcdserver: root user does not have root role"],
      [state, change.addUser("", hash, false), "3 etcdserver: user name is empty"],
      [state, change.addUser("u", hash, false), "9 etcdserver: user name already exists"],
      [state, change.deleteUser("nobody"), "9 etcdserver: user name not found"],
      [state, change.deleteUser("root"), "3 etcdserver: invalid auth management"],
      [state, change.changePassword("nobody", hash), "9 etcdserver: user name not found"],
      [state, change.grantRole("nobody", "r"), "9 etcdserver: user name not found"],
      [state, change.grantRole("u", "none"), "9 etcdserver: role name not found"],
      [state, change.revokeRole("u", "r"), "9 etcdserver: role is not granted to the user"],
      [state, change.revokeRole("root", "root"), "3 etcdserver: invalid auth management"],
      [state, change.addRole(""), "3 etcdserver: role name is empty"],
      [state, change.addRole("r"), "9 etcdserver: role name already exists"],
      [state, change.deleteRole("none"), "9 etcdserver: role name not found"],
      [state, change.deleteRole("root"), "3 etcdserver: invalid auth management"],
      [state, change.grantPermission("r", undefined), "3 etcdserver: permission not given"],
      [state, change.grantPermission("none", { key: "a", end: "", type: 0 }), "9 etcdserver: role name not found"],
      [state, change.grantPermission("r", { key: "b", end: "a", type: 0 }), "3 etcdserver: invalid auth management"],
      [state, change.grantPermission("r", { key: "", end: "a", type: 0 }), "3 etcdserver: invalid auth management"],
      [state, change.revokePermission("r", "a", ""), "9 etcdserver: permission is not granted to the role"],
    ];
    for (const [from, act, expected] of cases) expect(refusalOf(() => act(from))).toBe(expected);
    // While authentication is not enabled, root is like any other.
    const open = change.disable("x")(state);
    expect(change.deleteUser("root")(change.deleteRole("root")(open)).users.has("root")).toBe(false);
  });

  it("a role that is deleted is nobody's any more", () => {
    const state = made(
      change.addRole("r"),
      change.addRole("s"),
      change.addUser("u", hash, false),
      change.grantRole("u", "s"),
      change.grantRole("u", "r"),
    );
    expect(state.users.get("u")?.roles).toEqual(["r", "s"]);
    expect(change.deleteRole("r")(state).users.get("u")?.roles).toEqual(["s"]);
  });

  it("a permission of the same range takes the place of the one before", () => {
    const grant = (key: string, end: string, type: number): AuthChange => change.grantPermission("r", { key, end, type });
    const state = made(change.addRole("r"), grant("b", "", 0), grant("a", "z", 1), grant("b", "", 2));
    expect(state.roles.get("r")?.permissions).toEqual([
      { key: "a", end: "z", type: 1 },
      { key: "b", end: "", type: 2 },
    ]);
    expect(change.revokePermission("r", "a", "z")(state).roles.get("r")?.permissions).toHaveLength(1);
  });

  it("a new password ends what the old one gave", () => {
    const state = made(change.addUser("u", hash, false), change.addRole("r"));
    expect(state.users.get("u")?.since).toBe(2);
    expect(
      change
        .changePassword("u", { ...hash, key: "bmV3" })(state)
        .users.get("u"),
    ).toMatchObject({ since: 4, password: { key: "bmV3" } });
    // Who is made again is somebody else.
    expect(change.addUser("u", hash, false)(change.deleteUser("u")(state)).users.get("u")?.since).toBe(5);
  });
});

describe("the record", () => {
  it("is read as it was written, names and keys of all bytes included", () => {
    const state = change.enable(
      made(
        ...root,
        change.addRole("ro\u00efle"),
        change.grantPermission("ro\u00efle", { key: "\0\xff", end: "\0", type: 2 }),
        change.addUser("u", undefined, true),
      ),
    );
    expect(decodeState(encodeState(state))).toEqual(state);
  });

  it("that is damaged or of a later version is not taken for an empty one", () => {
    for (const text of ["", "null", "{}", '{"format":2}', '{"format":1,"enabled":true,"revision":1,"secret":"","users":[{}],"roles":[]}']) {
      expect(() => decodeState(text)).toThrow();
    }
  });
});

describe("rights", () => {
  const state = made(
    ...root,
    change.addRole("reader"),
    change.grantPermission("reader", { key: "a", end: "c", type: 0 }),
    change.addRole("writer"),
    change.grantPermission("writer", { key: "b", end: "", type: 1 }),
    change.addRole("odd"),
    change.grantPermission("odd", { key: "x", end: "", type: 7 }),
    change.addUser("u", hash, false),
    change.grantRole("u", "reader"),
    change.grantRole("u", "writer"),
    change.grantRole("u", "odd"),
  );
  const rights = rightsOf(state, "u");

  it("of a user are those of all its roles together", () => {
    expect(refusalOf(() => rights.read("a", "c"))).toBe("done");
    expect(refusalOf(() => rights.write("b"))).toBe("done");
    expect(refusalOf(() => rights.read("a", "d"))).toBe("7 etcdserver: permission denied");
    expect(refusalOf(() => rights.write("a"))).toBe("7 etcdserver: permission denied");
    expect(refusalOf(() => rights.remove("b", "c"))).toBe("7 etcdserver: permission denied");
    // A kind of permission that nobody knows permits nothing.
    expect(refusalOf(() => rights.read("x", ""))).toBe("7 etcdserver: permission denied");
  });

  it("of administrators are theirs alone, but everybody may see itself", () => {
    expect(refusalOf(() => rights.administer())).toBe("7 etcdserver: permission denied");
    expect(refusalOf(() => rights.seeUser("root"))).toBe("7 etcdserver: permission denied");
    expect(refusalOf(() => rights.seeUser("u"))).toBe("done");
    expect(refusalOf(() => rights.seeRole("reader"))).toBe("done");
    expect(refusalOf(() => rights.seeRole("root"))).toBe("7 etcdserver: permission denied");
    expect(refusalOf(() => rightsOf(state, "root").remove("\0", "\0"))).toBe("done");
    expect(refusalOf(() => rightsOf(state, "nobody").administer())).toBe("9 etcdserver: user name not found");
    expect(refusalOf(() => rightsOf(state, "nobody").read("a", ""))).toBe("7 etcdserver: permission denied");
  });

  it("of those who say no name are none, and everybody's where authentication is not enabled", () => {
    for (const ask of [() => nobodysRights.read("a", ""), () => nobodysRights.administer(), () => nobodysRights.known()]) {
      expect(refusalOf(ask)).toBe("3 etcdserver: user name is empty");
    }
    expect(refusalOf(() => freeRights.administer())).toBe("done");
  });
});
