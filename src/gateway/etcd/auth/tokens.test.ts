import { describe, expect, it } from "vitest";
import { base64Encode, Prng } from "../../../base/index.ts";
import { NodeDigests } from "../../../platform/node/index.ts";
import type { Clock } from "../../../ports/index.ts";
import { addUser, changePassword } from "./changes.ts";
import { macOf } from "./mac.ts";
import { Passwords } from "./passwords.ts";
import { emptyState } from "./state.ts";
import { Tokens } from "./tokens.ts";

const digests = new NodeDigests();
const prng = new Prng("tokens");
const random = { bytes: (length: number): Uint8Array => Uint8Array.from({ length }, () => prng.below(256)) };

/** A member with a clock of its own: `passed` ms after the others'. */
function memberAt(time: { ms: number }, ttlMs = 1_000): Tokens {
  const later = (): never => {
    throw new Error("tokens set no timers");
  };
  const clock: Clock = { now: () => time.ms, wall: () => 1_000_000 + time.ms, after: later, defer: later, deferLast: later };
  return new Tokens({ clock, random, digests }, ttlMs);
}

const always = (): boolean => true;
const secret = base64Encode(random.bytes(32));
const hash = { salt: "", key: "", cost: 4 };
const state = addUser("alice", hash, false)(emptyState(secret));

describe("tokens", () => {
  it("are good on every member without its being told", () => {
    const time = { ms: 0 };
    const token = memberAt(time).issue(state, "alice");
    expect(memberAt(time).userOf(state, token)).toBe("alice");
    expect(memberAt(time).userOf({ ...state, secret: base64Encode(random.bytes(32)) }, token)).toBeUndefined();
  });

  it("end when they are not shown for the time to live, and not before", () => {
    const time = { ms: 0 };
    const [first, second] = [memberAt(time), memberAt(time)];
    const token = first.issue(state, "alice");
    for (time.ms = 0; time.ms < 5_000; time.ms += 900) expect(first.userOf(state, token)).toBe("alice");
    // It was not shown to the other one.
    expect(second.userOf(state, token)).toBeUndefined();
    time.ms += 1_100;
    expect(first.userOf(state, token)).toBeUndefined();
  });

  it("end with the password also where they are remembered", () => {
    const member = memberAt({ ms: 0 });
    const token = member.issue(state, "alice");
    expect(member.userOf(state, token)).toBe("alice");
    expect(member.userOf(changePassword("alice", hash)(state), token)).toBeUndefined();
  });

  it("are signed as RFC 4231 says", () => {
    const key = new Uint8Array(20).fill(0x0b);
    const mac = macOf(digests, key, new TextEncoder().encode("Hi There"));
    expect(Buffer.from(mac).toString("hex")).toBe("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  });
});

describe("passwords", () => {
  it("are known again, and are nowhere in what is kept", async () => {
    const passwords = new Passwords({ digests, random }, 4);
    const kept = await passwords.hash("open sesame", always);
    expect(JSON.stringify(kept)).not.toContain("sesame");
    const answers = await Promise.all(
      ["open sesame", "open sesam", "", "open sesame "].map((password) => passwords.matches(password, kept, always)),
    );
    expect(answers).toEqual([true, false, false, false]);
    // Each has a salt of its own.
    expect((await passwords.hash("open sesame", always)).key).not.toBe(kept.key);
  });

  it("that nobody waits for any more take no time from the others, and a user that is not there takes as long as a wrong one", async () => {
    const passwords = new Passwords({ digests, random }, 4);
    const kept = await passwords.hash("pw", always);
    const refused = expect(passwords.matches("pw", kept, () => false)).rejects.toThrow("context canceled");
    expect(await passwords.matches("pw", kept, always)).toBe(true);
    await refused;
    let stretched = 0;
    const counted = {
      sha256: () => digests.sha256(),
      stretch: (...all: Parameters<typeof digests.stretch>) => {
        stretched++;
        digests.stretch(...all);
      },
    };
    expect(await new Passwords({ digests: counted, random }, 4).matches("", undefined, always)).toBe(false);
    expect(stretched).toBe(1);
  });

  it("are computed at a cost that was chosen before, whatever is chosen now", async () => {
    const kept = await new Passwords({ digests, random }, 5).hash("pw", always);
    expect(kept.cost).toBe(5);
    expect(await new Passwords({ digests, random }, 4).matches("pw", kept, always)).toBe(true);
    expect((await new Passwords({ digests, random }, 1).hash("pw", always)).cost).toBe(4);
  });
});
