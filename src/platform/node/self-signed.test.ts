import { X509Certificate, createPrivateKey } from "node:crypto";
import { describe, expect, it } from "vitest";
import { selfSigned } from "./self-signed.ts";

describe("a certificate that signs itself", () => {
  it("is read by Node.js, fits its key, is valid for its hosts and its time, and no longer", () => {
    const nowMs = Date.UTC(2026, 0, 2, 3, 4, 5);
    const hosts = ["localhost", "127.0.0.1", "::1", "fd00:1::2:3", "etcd.example"];
    const { certificate, key } = selfSigned(hosts, 30, nowMs);
    const read = new X509Certificate(certificate);
    expect(read.checkPrivateKey(createPrivateKey(key))).toBe(true);
    expect(read.verify(read.publicKey)).toBe(true);
    for (const host of ["localhost", "etcd.example"]) expect(read.checkHost(host)).toBe(host);
    for (const host of ["127.0.0.1", "::1", "fd00:1::2:3"]) expect(read.checkIP(host)).toBeDefined();
    expect(read.checkHost("other.example")).toBeUndefined();
    expect(new Date(read.validFrom).getTime()).toBe(nowMs - 3_600_000);
    expect(new Date(read.validTo).getTime()).toBe(nowMs + 30 * 365 * 86_400_000);
    // Two of them in one file of authorities: each is found by its name.
    expect(new X509Certificate(selfSigned(hosts, 1, nowMs).certificate).subject).not.toBe(read.subject);
  });
});
