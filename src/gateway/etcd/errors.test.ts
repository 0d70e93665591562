import { describe, expect, it } from "vitest";
import { UnumError } from "../../base/index.ts";
import { Code, etcdErrors } from "../../etcd/index.ts";
import { toEtcdError } from "./errors.ts";

describe("what a failure of ours is to a client of etcd", () => {
  it("is a definite refusal only when nothing was applied (campaign of e26c757, disk 1609)", () => {
    const refused = new UnumError("OUT_OF_SPACE");
    expect(toEtcdError(refused)).toMatchObject({ code: Code.resourceExhausted, message: etcdErrors.noSpace().message });
    // The connection was lost with a copy on the way; the next copy was refused.
    for (const code of ["OUT_OF_SPACE", "OVERLOADED", "COMPACTED", "INVALID_ARGUMENT", "DISK_FAILED"] as const) {
      const uncertain = toEtcdError(new UnumError(code, "refused", { outcome: "unknown" }));
      expect(uncertain, code).toMatchObject({ code: Code.unavailable, message: etcdErrors.timeoutConnectionLost().message });
    }
    expect(toEtcdError(new UnumError("NODE_STOPPED")).message).toBe(etcdErrors.stopped().message);
  });
});
