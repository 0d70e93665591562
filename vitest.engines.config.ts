import { defineConfig } from "vitest/config";

/** The same handle over engines that somebody else runs, each a real one: `npm run test:engines`. What is not installed is skipped, with its name. */
export default defineConfig({
  test: {
    include: ["test/engines/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    fileParallelism: false,
    retry: 0,
  },
});
