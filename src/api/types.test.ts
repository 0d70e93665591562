import { expectTypeOf, test } from "vitest";
import { key, op, text } from "./index.ts";
import type { Cache, Entry, KV, Page, StandardSchemaV1, UnumHandle, Watch } from "./index.ts";

declare const kv: KV;
declare const handle: UnumHandle;
declare const schema: StandardSchemaV1<{ at: string }, { at: number }>;

/** Never called: only its types are looked at. */
async function typesOf(): Promise<void> {
  const done = await kv.txn({
    if: [key("a").missing()],
    do: [
      op.put("a", 1),
      op.get<number>("a"),
      op.delete("b"),
      op.range<string>({ prefix: "c" }),
      op.txn({ do: [op.get<boolean>("d")], else: [op.put("e", 1)] }),
    ],
    else: [op.get("a")],
  });
  expectTypeOf(done.revision).toEqualTypeOf<number>();
  if (done.ok) {
    expectTypeOf(done.results[0]).toEqualTypeOf<{ readonly revision: number }>();
    expectTypeOf(done.results[1]).toEqualTypeOf<Entry<number> | undefined>();
    expectTypeOf(done.results[2]).toEqualTypeOf<{ readonly revision: number; readonly deleted: number }>();
    expectTypeOf(done.results[3]).toEqualTypeOf<Page<string>>();
    const inner = done.results[4];
    if (inner.ok) expectTypeOf(inner.results[0]).toEqualTypeOf<Entry<boolean> | undefined>();
    else expectTypeOf(inner.results[0]).toEqualTypeOf<{ readonly revision: number }>();
    // @ts-expect-error there is no sixth result
    done.results[5];
  } else {
    expectTypeOf(done.results[0]).toEqualTypeOf<Entry<unknown> | undefined>();
    // @ts-expect-error there is no second result
    done.results[1];
  }

  const checked = kv.with(schema);
  expectTypeOf(checked).toEqualTypeOf<KV<{ at: string }, { at: number }>>();
  expectTypeOf((await checked.get("a"))?.value).toEqualTypeOf<{ at: number } | undefined>();
  // @ts-expect-error the output is not the input
  await checked.put("a", { at: 1 });
  expectTypeOf(kv.with(text)).toEqualTypeOf<KV<string, string>>();
  expectTypeOf(kv.with(text).watch({ key: "a" })).toEqualTypeOf<Watch<string>>();
  expectTypeOf(await kv.cache<number>({ prefix: "" })).toEqualTypeOf<Cache<number>>();
  expectTypeOf(await kv.get<{ on: boolean }>("a")).toEqualTypeOf<Entry<{ on: boolean }> | undefined>();
  // @ts-expect-error durations carry their unit in the text
  await kv.get("a", { timeout: "5 minutes" });
  await kv.get("a", { timeout: "5m", signal: AbortSignal.timeout(10) });
  // What a lease's signal is given to takes the platform's own class.
  expectTypeOf((await handle.lease("5s")).signal).toExtend<AbortSignal>();
  for await (const change of kv.watch<number>({ prefix: "" })) {
    for (const event of change.events) if (event.kind === "put") expectTypeOf(event.entry.value).toEqualTypeOf<number>();
  }
}

test("types are checked by the compiler", () => {
  expectTypeOf(typesOf).toBeFunction();
});
