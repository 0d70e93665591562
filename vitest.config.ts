import { defineConfig } from "vitest/config";

/** Everything that needs no process of its own per node and no root: `npm test`. */
export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "tools/**/*.test.ts", "bench/**/*.test.ts"],
    exclude: ["test/{badinput,cluster,contract,crash,engines,etcd}/**", "**/node_modules/**"],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    pool: "forks",
  },
});
