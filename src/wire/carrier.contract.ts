import { afterEach, describe, expect, it } from "vitest";
import { MalformedBytes, Prng, equalBytes } from "../base/index.ts";
import { FrameType, drainMarkBytes } from "./types.ts";
import type { Carrier, CarrierHandlers } from "./types.ts";

export interface CarrierHarness {
  readonly near: Carrier;
  readonly far: Carrier;
  /** Lets the world go on until `done()`; throws when that takes too long. */
  until(done: () => boolean): Promise<void>;
  /** What `close` must leave behind is told as "closed…"; a carrier over a network adds reasons of its own. */
  close?(): Promise<void> | void;
}

class Recorder implements CarrierHandlers {
  readonly frames: Uint8Array[] = [];
  closes = 0;
  reason = "";
  drains = 0;
  hook: ((frame: Uint8Array) => void) | undefined;

  onFrame(frame: Uint8Array): void {
    expect(this.closes).toBe(0);
    this.frames.push(frame.slice());
    this.hook?.(frame);
  }
  onDrain(): void {
    expect(this.closes).toBe(0);
    this.drains++;
  }
  onClose(reason: string): void {
    this.closes++;
    this.reason = reason;
  }
}

function frameOf(id: number, bytes: number): Uint8Array {
  const frame = new Prng(id).bytes(Math.max(5, bytes));
  frame[0] = FrameType.request;
  new DataView(frame.buffer).setUint32(1, id, true);
  return frame;
}

/** What every carrier promises; see `types.ts`. */
export function carrierContract(name: string, make: () => Promise<CarrierHarness> | CarrierHarness): void {
  describe(`${name} keeps the promises of a carrier`, () => {
    let harness: CarrierHarness | undefined;
    afterEach(async () => {
      harness?.near.destroy();
      harness?.far.destroy();
      await harness?.close?.();
      harness = undefined;
    });

    async function start(): Promise<CarrierHarness & { readonly nearSees: Recorder; readonly farSees: Recorder }> {
      const made = await make();
      harness = made;
      const nearSees = new Recorder();
      const farSees = new Recorder();
      made.near.handle(nearSees);
      made.far.handle(farSees);
      return { ...made, nearSees, farSees };
    }

    it("frames arrive both ways, whole, unchanged and in order", async () => {
      const { near, far, nearSees, farSees, until } = await start();
      const frames = Array.from({ length: 300 }, (_, i) => frameOf(i, 5 + ((i * 37) % 3000)));
      for (const frame of frames) {
        near.send(frame);
        far.send(frame);
      }
      await until(() => nearSees.frames.length === frames.length && farSees.frames.length === frames.length);
      for (const sees of [nearSees, farSees])
        expect(sees.frames.every((frame, i) => equalBytes(frame, frames[i] as Uint8Array))).toBe(true);
    });

    it("a frame in two parts arrives as one, and the first part may be used again at once", async () => {
      const { near, farSees, until } = await start();
      const frames = Array.from({ length: 50 }, (_, i) => frameOf(i, i % 10 === 0 ? 200_000 : 6 + ((i * 37) % 3000)));
      const head = new Uint8Array(5);
      for (const frame of frames) {
        head.set(frame.subarray(0, 5));
        near.send(head, frame.subarray(5));
        if (frame.length % 3 === 0) near.flush();
      }
      head.fill(255);
      await until(() => farSees.frames.length === frames.length);
      const idOf = (frame: Uint8Array): number => new DataView(frame.buffer, frame.byteOffset).getUint32(1, true);
      for (const frame of farSees.frames) expect(equalBytes(frame, frames[idOf(frame)] as Uint8Array)).toBe(true);
    });

    it("large frames arrive whole, and small ones of the same id stay behind them", async () => {
      const { near, farSees, until } = await start();
      const large = frameOf(1, 3_000_000);
      near.send(large);
      near.send(frameOf(1, 30));
      near.send(frameOf(2, 20));
      near.send(frameOf(1, 10));
      await until(() => farSees.frames.length === 4);
      const ofOne = farSees.frames.filter((frame) => frame[1] === 1).map((frame) => frame.length);
      expect(ofOne).toEqual([3_000_000, 30, 10]);
      expect(equalBytes(farSees.frames.find((frame) => frame.length === 3_000_000) as Uint8Array, large)).toBe(true);
    });

    it("nobody is called from within send, close or destroy", async () => {
      const { near, far, nearSees, farSees, until } = await start();
      near.send(frameOf(1, 10));
      expect(farSees.frames.length).toBe(0);
      near.close();
      expect(nearSees.closes + farSees.closes).toBe(0);
      far.destroy();
      expect(nearSees.closes + farSees.closes).toBe(0);
      await until(() => nearSees.closes === 1 && farSees.closes === 1);
    });

    it("close sends what is queued; both sides hear of the end exactly once", async () => {
      const { near, nearSees, farSees, until } = await start();
      for (let i = 0; i < 20; i++) near.send(frameOf(i, i === 7 ? 500_000 : 100));
      near.close();
      near.send(frameOf(99, 10));
      near.close();
      await until(() => nearSees.closes === 1 && farSees.closes === 1);
      expect(farSees.frames.length).toBe(20);
      near.destroy();
      await until(() => true);
      expect([nearSees.closes, farSees.closes]).toEqual([1, 1]);
      expect(farSees.reason).toContain("closed");
    });

    it("destroy ends both sides, says so on its own, and passes nothing on afterwards", async () => {
      const { near, far, nearSees, farSees, until } = await start();
      far.send(frameOf(1, 10));
      near.destroy();
      near.destroy();
      near.send(frameOf(2, 10));
      await until(() => nearSees.closes === 1 && farSees.closes === 1);
      expect(nearSees.frames.length).toBe(0);
      expect(nearSees.reason).toBe("destroyed");
    });

    it("a frame that is no good for its handler ends the connection and names the reason", async () => {
      const { near, farSees, nearSees, until } = await start();
      farSees.hook = () => {
        throw new MalformedBytes("this means nothing");
      };
      near.send(frameOf(1, 10));
      near.send(frameOf(2, 10));
      await until(() => nearSees.closes === 1 && farSees.closes === 1);
      expect(farSees.frames.length).toBe(1);
      expect(farSees.reason).toBe("malformed: this means nothing");
    });

    it("a handler may answer, close and hand over to another handler", async () => {
      const { near, far, farSees, nearSees, until } = await start();
      const second = new Recorder();
      farSees.hook = () => far.handle(second);
      second.hook = (frame) => {
        far.send(frame.slice());
        far.close();
      };
      near.send(frameOf(1, 10));
      near.send(frameOf(2, 20));
      await until(() => nearSees.closes === 1 && second.closes === 1);
      expect([farSees.frames.length, second.frames.length, nearSees.frames.length]).toEqual([1, 1, 1]);
      expect(farSees.closes).toBe(0);
    });

    it("onDrain follows whenever the mark was reached, whatever the sizes", async () => {
      const { near, nearSees, farSees, until } = await start();
      for (const bytes of [drainMarkBytes, 100_000, 1_000_000, 2 * drainMarkBytes + 7]) {
        const drains = nearSees.drains;
        const frames = farSees.frames.length;
        near.send(frameOf(1, 30));
        near.send(frameOf(2, bytes));
        near.send(frameOf(3, 30));
        expect(near.bufferedBytes).toBeGreaterThanOrEqual(drainMarkBytes);
        await until(() => nearSees.drains > drains && farSees.frames.length === frames + 3);
      }
    });

    it("a paused reader makes bytes pile up at the sender, which is told when they are gone", async () => {
      const { near, far, nearSees, farSees, until } = await start();
      far.pause();
      let sent = 0;
      while (near.bufferedBytes < 1_000_000 && sent < 4000) {
        for (let i = 0; i < 20; i++) near.send(frameOf(sent++, 50_000));
        await until(() => true);
      }
      expect(near.bufferedBytes).toBeGreaterThan(0);
      expect(farSees.frames.length).toBeLessThan(sent);
      far.resume();
      await until(() => farSees.frames.length === sent && near.bufferedBytes === 0 && nearSees.drains > 0);
    });
  });
}
