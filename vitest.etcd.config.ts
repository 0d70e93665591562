import { defineConfig } from "vitest/config";

/** Foreign programs against the etcd gateway, beside a real etcd: `npm run test:etcd`. What is not installed is skipped, with its name. */
export default defineConfig({
  test: {
    include: ["test/etcd/**/*.test.ts"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    fileParallelism: false,
    retry: 0,
  },
});
