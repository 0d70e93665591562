import { describe, expect, it } from "vitest";
import { utf8Encode } from "../../../base/index.ts";
import { Op } from "./codes.ts";
import { JuteWriter } from "./jute.ts";
import { ScriptedEnsemble, endOf, textOf } from "./scripted-server.contract.ts";
import type { Received } from "./scripted-server.contract.ts";

const bytes = utf8Encode;

/** The fault for the first request of this kind; all others are served. */
function once(op: number, fault: "silence" | "drop-before" | "drop-after" | Uint8Array): (request: Received) => "serve" | typeof fault {
  let done = false;
  return (request) => {
    if (done || request.op !== op) return "serve";
    done = true;
    return fault;
  };
}

const header = (xid: number, error = 0): JuteWriter => new JuteWriter().int(xid).long(5n).int(error);
const framed = (body: Uint8Array): Uint8Array => new JuteWriter().buf(body).take();

describe("a session over connections that break", () => {
  it("goes on at another server with its id, and says so to its owner", async () => {
    const ensemble = new ScriptedEnsemble();
    const states: string[] = [];
    const zk = ensemble.open({ servers: "h:1,h:2", onState: (state) => states.push(state) });
    const { clock } = ensemble;
    await clock.settle(zk.create("/a", bytes("1")));
    const first = ensemble.dialled[0] ?? 0;
    ensemble.down.add(first);
    ensemble.cut();
    expect(textOf(await clock.settle(zk.get("/a")))).toBe("1");
    expect(ensemble.dialled.at(-1)).toBe(3 - first);
    expect(zk.sessionId).toBe(77n);
    expect(states).toEqual(["connected", "connecting", "connected"]);
  });

  it("passes over a server that is behind what the session has seen", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open({ servers: "h:1,h:2" });
    await clock.settle(zk.create("/a", bytes("1")));
    const first = ensemble.dialled[0] ?? 0;
    ensemble.behind.add(3 - first);
    ensemble.cut();
    await clock.settle(zk.get("/a"));
    expect(ensemble.dialled).toEqual([first, 3 - first, first]);
  });

  it("never sends a write again whose answer was lost: its outcome is unknown", async () => {
    for (const fault of ["drop-before", "drop-after"] as const) {
      const ensemble = new ScriptedEnsemble();
      const { clock } = ensemble;
      const zk = ensemble.open();
      ensemble.intercept = once(Op.setData, fault);
      const work = Promise.all([zk.create("/a", bytes("1")), endOf(zk.set("/a", bytes("2"))), endOf(zk.set("/a", bytes("3")))]);
      const ends = (await clock.settle(work)).slice(1);
      expect(ends).toEqual(["UNKNOWN_OUTCOME unknown", "UNKNOWN_OUTCOME unknown"]);
      expect(textOf(await clock.settle(zk.get("/a")))).toBe(fault === "drop-before" ? "1" : "2");
      expect(ensemble.log.filter((line) => line === "5 /a")).toHaveLength(1);
    }
  });

  it("sends a read again by itself, ahead of what was asked later", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    await clock.settle(zk.create("/a", bytes("1")));
    ensemble.intercept = once(Op.getData, "drop-before");
    const read = zk.get("/a");
    await clock.drain();
    const write = zk.set("/a", bytes("2"));
    const [seen] = await clock.settle(Promise.all([read, write]));
    expect(textOf(seen)).toBe("1");
    expect(ensemble.log).toEqual(["15 /a", "4 /a", "4 /a", "5 /a"]);
  });

  it("keeps a write that no connection has taken, within its time", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    ensemble.down.add(1);
    const zk = ensemble.open();
    const late = endOf(zk.create("/late", bytes("1"), { timeoutMs: 900 }));
    const patient = zk.create("/a", bytes("1"), { timeoutMs: 5_000 });
    await clock.advance(2_000);
    expect(await late).toBe("TIMEOUT not-applied");
    ensemble.down.clear();
    await clock.settle(patient);
    expect([...ensemble.nodes.keys()]).toEqual(["/a"]);
  });

  it("ends when the servers say that it has expired: calls that wait were not applied, watches are told", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const states: string[] = [];
    const events: string[] = [];
    const zk = ensemble.open({ onState: (state) => states.push(state) });
    await clock.settle(zk.addWatch("/w", ({ kind, path }) => events.push(`${kind} ${path}`)));
    ensemble.expired = true;
    ensemble.cut();
    await clock.drain();
    const waiting = endOf(zk.create("/a", bytes("1")));
    expect(await clock.settle(waiting)).toBe("SESSION_EXPIRED not-applied");
    expect(await endOf(zk.get("/a"))).toBe("SESSION_EXPIRED not-applied");
    expect(events).toEqual(["ended /w"]);
    expect(states).toEqual(["connected", "connecting", "expired"]);
    expect(zk.leftMs()).toBe(0);
    await clock.advance(60_000);
    expect(clock.timerCount).toBe(0);
  });

  it("ends, too, when a server that answers refuses a call with an expired session", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    await clock.settle(zk.create("/a", bytes("1")));
    ensemble.intercept = ({ op, xid }) => (op === Op.setData ? framed(header(xid, -112).take()) : "serve");
    expect(await clock.settle(endOf(zk.set("/a", bytes("2"))))).toBe("SESSION_EXPIRED not-applied");
    expect(zk.state).toBe("expired");
  });

  it("sends credentials ahead of everything on each connection, and ends when they are refused", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open({ auth: [{ scheme: "digest", auth: bytes("u:p") }] });
    await clock.settle(zk.sync());
    ensemble.cut();
    await clock.settle(zk.sync());
    expect(ensemble.log).toEqual(["100", "9 /", "100", "9 /"]);
    ensemble.refusesAuth = true;
    ensemble.cut();
    expect(await clock.settle(endOf(zk.sync()))).toBe("AUTH_FAILED");
    expect(zk.state).toBe("auth-failed");
  });
});

describe("a session's watches", () => {
  it("are set again ahead of all calls, with the last transaction seen; lasting ones are told of the gap", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open({ servers: "h:1/root" });
    const events: string[] = [];
    const note = ({ kind, path }: { readonly kind: string; readonly path: string }): void => void events.push(`${kind} ${path}`);
    await clock.settle(zk.create("/a", bytes("1")));
    await clock.settle(
      Promise.all([zk.get("/a", { watch: note }), zk.exists("/b", { watch: note }), zk.addWatch("/", note, { recursive: true })]),
    );
    ensemble.cut();
    await clock.settle(zk.sync());
    const again = ensemble.received.find(({ op }) => op === Op.setWatches2);
    expect(ensemble.log.slice(-2)).toEqual(["105", "9 /root"]);
    expect(again?.body.long()).toBe(2n);
    expect([1, 2, 3, 4, 5].map(() => again?.body.texts())).toEqual([["/root/a"], ["/root/b"], [], [], ["/root"]]);
    expect(events).toEqual(["gap /"]);
  });

  it("of a read tell one event; lasting ones go on, and tell of what lies below when they are recursive", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    const events: string[] = [];
    await clock.settle(zk.create("/a", bytes("1")));
    await clock.settle(zk.get("/a", { watch: ({ kind }) => events.push(`once ${kind}`) }));
    const lasting = ({ kind, path }: { readonly kind: string; readonly path: string }): void => void events.push(`${kind} ${path}`);
    await clock.settle(zk.addWatch("/t", lasting, { recursive: true }));
    for (const [type, path] of [
      [3, "/a"],
      [3, "/a"],
      [1, "/t/x/y"],
      [4, "/t/x"],
      [2, "/tt"],
    ] as const)
      ensemble.pushEvent(type, path);
    await clock.drain();
    expect(events).toEqual(["once changed", "created /t/x/y"]);
    await clock.settle(zk.removeWatches("/t"));
    ensemble.pushEvent(1, "/t/z");
    await clock.drain();
    expect(events).toHaveLength(2);
  });

  it("of two kinds are refused on one path", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    await clock.settle(zk.addWatch("/a", () => undefined));
    expect(await endOf(zk.addWatch("/a", () => undefined, { recursive: true }))).toBe("INVALID_ARGUMENT not-applied");
    expect(await endOf(zk.exists("/a", { watch: () => undefined }))).toBe("INVALID_ARGUMENT not-applied");
  });
});

describe("a session's life", () => {
  it("is held by pings after a third of the timeout without a request", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    await clock.settle(zk.sync());
    const startMs = clock.now();
    await clock.advance(6_500);
    const pings = ensemble.received.filter(({ op }) => op === Op.ping).map(({ atMs }) => atMs - startMs);
    expect(pings).toEqual([2_000, 4_000, 6_000]);
    expect(zk.state).toBe("connected");
  });

  it("counts from when the last request that was answered was sent, by the clock that went further", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    expect(zk.leftMs()).toBe(0);
    await clock.settle(zk.sync());
    ensemble.intercept = () => "silence";
    await clock.advance(1_500);
    expect(zk.leftMs()).toBe(4_500);
    clock.sleepMachine(2_000);
    expect(zk.leftMs()).toBe(2_500);
    await clock.advance(1_000);
    expect(zk.leftMs()).toBe(1_500);
    clock.sleepMachine(60_000);
    expect(zk.leftMs()).toBe(0);
  });

  it("leaves a server that is silent for two thirds of the timeout", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    await clock.settle(zk.sync());
    ensemble.intercept = ({ connection }) => (connection === 1 ? "silence" : "serve");
    await clock.advance(3_990);
    expect(ensemble.connections).toBe(1);
    await clock.advance(200);
    expect(ensemble.connections).toBe(2);
    expect(zk.state).toBe("connected");
  });

  it("is ended at the server by close, behind what was sent before; what was not sent is not applied", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    await clock.settle(zk.sync());
    const written = zk.create("/a", bytes("1"));
    await clock.drain();
    const unsent = endOf(zk.create("/b", bytes("1")));
    await clock.settle(zk.close());
    await written;
    expect(await unsent).toBe("CLOSED not-applied");
    expect(ensemble.log.at(-1)).toBe("-11");
    expect(await endOf(zk.get("/a"))).toBe("CLOSED not-applied");
    expect(clock.timerCount).toBe(0);
  });

  it("is let go within a bound when no server answers the close", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    await clock.settle(zk.sync());
    ensemble.down.add(1);
    ensemble.cut();
    const startMs = clock.now();
    await clock.settle(zk.close({ timeoutMs: 700 }));
    expect(clock.now() - startMs).toBe(700);
    expect(clock.timerCount).toBe(0);
  });
});

describe("what a session does not take", () => {
  it.each([
    ["an answer to another request", (xid: number) => framed(header(xid + 1).take())],
    ["a header that is cut off", () => framed(new Uint8Array(7))],
    ["a frame of a negative length", () => new JuteWriter().int(-5).take()],
    ["a body that is none", (xid: number) => framed(header(xid).int(0x7fffffff).take())],
    ["the answer to a ping that was not sent", () => framed(header(-2).take())],
  ])("%s: the connection ends, the read is asked again", async (_, garbage) => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    await clock.settle(zk.create("/a", bytes("1")));
    let done = false;
    ensemble.intercept = ({ op, xid }) => {
      if (done || op !== Op.getData) return "serve";
      done = true;
      return garbage(xid);
    };
    expect(textOf(await clock.settle(zk.get("/a")))).toBe("1");
    expect(ensemble.connections).toBe(2);
  });

  it("requests beyond the servers' limit are refused before they are sent", async () => {
    const ensemble = new ScriptedEnsemble();
    const zk = ensemble.open();
    expect(await ensemble.clock.settle(endOf(zk.create("/a", new Uint8Array(1024 * 1024))))).toBe("TOO_LARGE not-applied");
    await ensemble.clock.settle(zk.create("/b", new Uint8Array(1024 * 1024 - 200)));
    expect(ensemble.log).toEqual(["15 /b"]);
  });

  it("an answer beyond the limit fails the call that asked for it, and no other", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open({ replyBytesMax: 1_000 });
    await clock.settle(Promise.all([zk.create("/a", new Uint8Array(2_000)), zk.create("/b", bytes("1"))]));
    const [large, small] = await clock.settle(Promise.all([endOf(zk.get("/a")), zk.get("/b")]));
    expect(large).toBe("TOO_LARGE not-applied");
    expect(textOf(small)).toBe("1");
  });

  it("more calls than its limit are refused", async () => {
    const ensemble = new ScriptedEnsemble();
    ensemble.down.add(1);
    const zk = ensemble.open({ callsMax: 2 });
    const waiting = [endOf(zk.sync()), endOf(zk.sync())];
    expect(await endOf(zk.sync())).toBe("OVERLOADED not-applied");
    await ensemble.clock.settle(zk.close());
    expect(await Promise.all(waiting)).toEqual(["CLOSED not-applied", "CLOSED not-applied"]);
  });

  it("a call whose signal is aborted rejects with the reason, and the answers behind it stay in step", async () => {
    const ensemble = new ScriptedEnsemble();
    const { clock } = ensemble;
    const zk = ensemble.open();
    await clock.settle(zk.create("/a", bytes("1")));
    const controller = new AbortController();
    const reason = new Error("enough");
    ensemble.intercept = () => {
      controller.abort(reason);
      return "serve";
    };
    const first = endOf(zk.get("/a", { signal: controller.signal }));
    const second = zk.get("/a");
    expect(await clock.settle(first)).toBe(reason);
    expect(textOf(await clock.settle(second))).toBe("1");
    expect(ensemble.connections).toBe(1);
  });
});
