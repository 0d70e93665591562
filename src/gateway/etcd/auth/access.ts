import type { CallOptions, Operation, RawKeyspace, TakeReply } from "../../../api/index.ts";
import { isUnumError } from "../../../base/index.ts";
import type { Call } from "../grpc/index.ts";
import { markOf } from "./keeper.ts";
import type { AuthKeeper, Known } from "./keeper.ts";
import { freeRights, nobodysRights, rightsOf } from "./rights.ts";
import type { Rights } from "./rights.ts";
import type { AuthState } from "./state.ts";
import type { Tokens } from "./tokens.ts";
import { GrpcError, etcdErrors } from "../../../etcd/index.ts";

/** Asks for all that a call needs; throws what refuses. */
export type Ask = (rights: Rights) => void | Promise<void>;

/** What the machine can refuse for its mark. */
type Write = Extract<Operation, { readonly kind: "put" | "delete" | "txn" }>;

/** A call whose rights change again and again while it is served. */
const attemptsMax = 10;

export interface AccessGround {
  readonly kv: RawKeyspace;
  within(call: Call): CallOptions;
}

/** Who may do what: every call of the gateway comes through here. */
export class Access {
  private readonly ground: AccessGround;
  private readonly keeper: AuthKeeper;
  private readonly tokens: Tokens;
  /** The common name in a client's certificate is its user, unless it shows a token. */
  private readonly namesAreUsers: boolean;
  private cache: { readonly state: AuthState; readonly byName: Map<string, Rights> } | undefined;

  constructor(ground: AccessGround, keeper: AuthKeeper, tokens: Tokens, namesAreUsers: boolean) {
    this.ground = ground;
    this.keeper = keeper;
    this.tokens = tokens;
    this.namesAreUsers = namesAreUsers;
  }

  /** There never was a user or a role: the common case, and nothing is to be asked. */
  get isOpen(): boolean {
    return this.keeper.isReady && this.keeper.current === undefined;
  }

  /** Afterwards `rights` knows of every change that was made before. */
  async confirmed(): Promise<void> {
    await this.keeper.confirm();
    await this.keeper.ready();
  }

  /** As far as this member has heard. Throws when the call's token is none; UNAVAILABLE before `ready`. */
  rights(call: Call): Rights {
    if (!this.keeper.isReady) throw etcdErrors.noLeader();
    return this.rightsAt(call, this.keeper.current);
  }

  /** As of one record. */
  rightsAt(call: Call, known: Known | undefined): Rights {
    if (known === undefined || !known.state.enabled) return freeRights;
    const name = this.nameOf(call, known.state);
    return name === undefined ? nobodysRights : this.rightsOfName(known.state, name);
  }

  /** A write, which the machine refuses if the rights have changed before it is applied; it is then asked for again. */
  write<T>(call: Call, ask: Ask, operation: Write, take: TakeReply<T>): Promise<T> {
    if (this.isOpen) return this.ground.kv.command(operation, take, this.ground.within(call));
    return this.guard(call, ask, operation, take);
  }

  private async guard<T>(call: Call, ask: Ask, operation: Write, take: TakeReply<T>): Promise<T> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const known = await this.allow(call, ask);
      if (known === undefined) return this.ground.kv.command(operation, take, this.ground.within(call));
      try {
        return await this.ground.kv.command({ kind: "guarded", ...markOf(known.fence), operation }, take, this.ground.within(call));
      } catch (error) {
        if (!isUnumError(error, "FENCED")) throw error;
        await this.keeper.overtaken(known.fence);
      }
    }
    throw etcdErrors.authOldRevision();
  }

  /** A read: what it found is given out only if its rights were good until then. A serializable one goes by what this member has heard. */
  read<T>(call: Call, ask: Ask, run: (rights: Rights) => Promise<T>, serializable = false): Promise<T> {
    return this.isOpen ? run(freeRights) : this.show(call, ask, run, serializable);
  }

  private async show<T>(call: Call, ask: Ask, run: (rights: Rights) => Promise<T>, serializable: boolean): Promise<T> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const known = await this.allow(call, ask);
      const found = await run(this.rightsAt(call, known));
      if (known !== undefined && !serializable) await this.keeper.confirm();
      if (this.keeper.current?.fence === known?.fence) return found;
    }
    throw etcdErrors.authOldRevision();
  }

  /** What is no write of keys: confirmed right before, since the machine cannot refuse it afterwards. */
  async act<T>(call: Call, ask: Ask, run: () => Promise<T>): Promise<T> {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const known = await this.allow(call, ask);
      if (known === undefined) return run();
      await this.keeper.confirm();
      if (this.keeper.current?.fence === known.fence) return run();
    }
    throw etcdErrors.authOldRevision();
  }

  /** For what only administrators may do. */
  administer(call: Call): Promise<void> {
    return this.act(
      call,
      (rights) => rights.administer(),
      async () => undefined,
    );
  }

  /** For what any user may do. */
  async known(call: Call): Promise<void> {
    await this.allow(call, (rights) => rights.known());
  }

  /** Refused is only who is refused by the newest record: a right that was given through another member counts at once. */
  private async allow(call: Call, ask: Ask): Promise<Known | undefined> {
    if (!this.keeper.isReady) await this.keeper.ready();
    const known = this.keeper.current;
    if (known === undefined) return undefined;
    try {
      await ask(this.rightsAt(call, known));
      return known;
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      await this.confirmed();
      if (this.keeper.current?.fence === known.fence) throw error;
      return this.allow(call, ask);
    }
  }

  private nameOf(call: Call, state: AuthState): string | undefined {
    const token = call.fields["token"] ?? call.fields["authorization"];
    if (token === undefined) return this.namesAreUsers ? call.subject : undefined;
    const name = this.tokens.userOf(state, token.startsWith("Bearer ") ? token.slice("Bearer ".length) : token);
    if (name === undefined) throw etcdErrors.invalidAuthToken();
    return name;
  }

  private rightsOfName(state: AuthState, name: string): Rights {
    // Names of certificates are anybody's: only users are remembered.
    if (!state.users.has(name)) return rightsOf(state, name);
    if (this.cache?.state !== state) this.cache = { state, byName: new Map() };
    const { byName } = this.cache;
    const remembered = byName.get(name) ?? rightsOf(state, name);
    byName.set(name, remembered);
    return remembered;
  }
}
