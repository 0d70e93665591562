import { defineConfig } from "vitest/config";

/** Real processes, killed for real: `npm run test:cluster`. One file at a time, since each loads the machine. */
export default defineConfig({
  test: {
    include: ["test/{badinput,cluster,contract,crash}/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    fileParallelism: false,
    retry: 0,
  },
});
