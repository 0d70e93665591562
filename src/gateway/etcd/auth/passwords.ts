import { base64Decode, base64Encode, limits, utf8Encode } from "../../../base/index.ts";
import type { Digests, Random } from "../../../ports/index.ts";
import { isEqualSlowly } from "./mac.ts";
import type { PasswordHash } from "./state.ts";
import { Code, GrpcError, etcdErrors } from "../../../etcd/index.ts";

/** etcd's default, and the range of its flag `bcrypt-cost`. */
export const defaultCost = 10;
const costMin = 4;
/** etcd takes up to 31. This takes 256 MiB while it is computed, and each step more twice that. */
const costMax = 14;
const saltBytes = 16;

/** Passwords are stretched one after the other: each takes memory, and a thread that the disk needs, too. */
export class Passwords {
  private readonly digests: Digests;
  private readonly random: Random;
  private readonly cost: number;
  private waiting = 0;
  private last: Promise<unknown> = Promise.resolve();

  constructor(ports: { readonly digests: Digests; readonly random: Random }, cost: number) {
    this.digests = ports.digests;
    this.random = ports.random;
    this.cost = Math.min(Math.max(cost, costMin), costMax);
  }

  async hash(password: string, isWanted: () => boolean): Promise<PasswordHash> {
    const salt = this.random.bytes(saltBytes);
    const key = await this.stretch(password, salt, this.cost, isWanted);
    return { salt: base64Encode(salt), key: base64Encode(key), cost: this.cost };
  }

  /** Undefined: there is nothing to compare with, which takes as long and is false. Rejects with CANCELED once nobody wants to know. */
  async matches(password: string, hash: PasswordHash | undefined, isWanted: () => boolean): Promise<boolean> {
    const { cost, key, salt } = hash ?? { cost: this.cost, key: "", salt: "" };
    return isEqualSlowly(await this.stretch(password, base64Decode(salt), cost, isWanted), base64Decode(key));
  }

  private stretch(password: string, salt: Uint8Array, cost: number, isWanted: () => boolean): Promise<Uint8Array> {
    if (this.waiting >= limits.etcdPasswordsMax) throw etcdErrors.tooManyRequests();
    this.waiting++;
    const turn = this.last.then(
      () =>
        new Promise<Uint8Array>((resolve, reject) => {
          if (!isWanted()) return reject(new GrpcError(Code.canceled, "context canceled"));
          this.digests.stretch(utf8Encode(password), salt, cost, (key) => {
            if (key instanceof Error) reject(key);
            else resolve(key);
          });
        }),
    );
    this.last = turn
      .catch(() => undefined)
      .then(() => {
        this.waiting--;
      });
    return turn;
  }
}
