import type { HttpOptions } from "../../ports/index.ts";

/** RFC 9113. */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

export const ErrorCode = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const;
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode];

export const Setting = { enablePush: 2, maxConcurrentStreams: 3, initialWindowSize: 4, maxFrameSize: 5, maxHeaderListSize: 6 } as const;

export const frameHeaderBytes = 9;
/** What both sides take at least, and what we take at most. */
export const frameBytesMax = 16_384;
export const windowBytesDefault = 65_535;
export const windowBytesMax = 0x7fff_ffff;
export const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Ends the connection: what its other side did is against the protocol, or too much. */
export class ConnectionFailure extends Error {
  override readonly name = "ConnectionFailure";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

export function u32At(bytes: Uint8Array, at: number): number {
  return (
    (((bytes[at] as number) << 24) | ((bytes[at + 1] as number) << 16) | ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number)) >>> 0
  );
}

/** What stands between the padding's length and the padding. */
export function unpad(payload: Uint8Array): Uint8Array {
  const padding = payload[0];
  if (padding === undefined || padding >= payload.length) throw new ConnectionFailure(ErrorCode.protocol, "more padding than frame");
  return payload.subarray(1, payload.length - padding);
}

/** The block of a HEADERS frame, without padding and priority. */
export function blockOf(flags: number, payload: Uint8Array): Uint8Array {
  const block = (flags & Flag.padded) === 0 ? payload : unpad(payload);
  if ((flags & Flag.priority) === 0) return block;
  if (block.length < 5) throw new ConnectionFailure(ErrorCode.frameSize, "a priority is cut");
  return block.subarray(5);
}

/** The payload of a GOAWAY frame. */
export function goawayOf(lastId: number, code: ErrorCode): Uint8Array {
  const payload = new Uint8Array(8);
  const view = new DataView(payload.buffer);
  view.setUint32(0, lastId);
  view.setUint32(4, code);
  return payload;
}

/** The payload of our settings. */
export function settingsOf(options: HttpOptions): Uint8Array {
  const payload = new Uint8Array(3 * 6);
  const view = new DataView(payload.buffer);
  const put = (at: number, name: number, value: number): void => {
    view.setUint16(at * 6, name);
    view.setUint32(at * 6 + 2, value);
  };
  put(0, Setting.maxConcurrentStreams, options.streamsMax);
  put(1, Setting.initialWindowSize, options.windowBytes);
  put(2, Setting.maxHeaderListSize, options.headBytesMax);
  return payload;
}

export function checkPreface(bytes: Uint8Array): void {
  for (let at = 0; at < preface.length; at++) {
    if (bytes[at] !== preface.charCodeAt(at)) throw new ConnectionFailure(ErrorCode.protocol, "no preface");
  }
}

/** What a client sets, checked: sizes that no side may have end the connection. */
export function settingsIn(payload: Uint8Array): readonly (readonly [name: number, value: number])[] {
  if (payload.length % 6 !== 0) throw new ConnectionFailure(ErrorCode.frameSize, "settings are cut");
  const settings: (readonly [number, number])[] = [];
  for (let at = 0; at < payload.length; at += 6) {
    const name = ((payload[at] as number) << 8) | (payload[at + 1] as number);
    const value = u32At(payload, at + 2);
    if (name === Setting.initialWindowSize && value > windowBytesMax)
      throw new ConnectionFailure(ErrorCode.flowControl, "a window is too large");
    if (name === Setting.maxFrameSize && (value < frameBytesMax || value > 0xff_ffff))
      throw new ConnectionFailure(ErrorCode.protocol, `frames of ${value} bytes`);
    settings.push([name, value]);
  }
  return settings;
}

const bufferBytes = 64 * 1024;

/** Gathers the frames of one turn, so that they leave in one write. */
export class Output {
  private buffer = new Uint8Array(bufferBytes);
  length = 0;

  frame(type: number, flags: number, stream: number, payload: Uint8Array | undefined, from = 0, to: number = payload?.length ?? 0): void {
    const bytes = to - from;
    const at = this.reserve(frameHeaderBytes + bytes);
    const { buffer } = this;
    buffer[at] = bytes >>> 16;
    buffer[at + 1] = bytes >>> 8;
    buffer[at + 2] = bytes;
    buffer[at + 3] = type;
    buffer[at + 4] = flags;
    this.putU32(at + 5, stream);
    if (payload === undefined || bytes === 0) return;
    // For the few bytes of a usual frame a loop is cheaper than a call.
    if (bytes > 64) buffer.set(from === 0 && to === payload.length ? payload : payload.subarray(from, to), at + frameHeaderBytes);
    else for (let i = 0; i < bytes; i++) buffer[at + frameHeaderBytes + i] = payload[from + i] as number;
  }

  /** A frame whose payload is one number. */
  number(type: number, stream: number, value: number): void {
    const at = this.reserve(frameHeaderBytes + 4);
    this.buffer.fill(0, at, at + frameHeaderBytes);
    this.buffer[at + 2] = 4;
    this.buffer[at + 3] = type;
    this.putU32(at + 5, stream);
    this.putU32(at + frameHeaderBytes, value);
  }

  /** The bytes so far, and a new buffer for the next ones unless `reuse` says that they are free again. */
  take(write: (bytes: Uint8Array) => boolean): void {
    const bytes = this.buffer.subarray(0, this.length);
    this.length = 0;
    const reusable = write(bytes);
    if (!reusable || this.buffer.length > bufferBytes) this.buffer = new Uint8Array(bufferBytes);
  }

  private putU32(at: number, value: number): void {
    const { buffer } = this;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
  }

  private reserve(bytes: number): number {
    const at = this.length;
    this.length += bytes;
    if (this.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.length));
      larger.set(this.buffer.subarray(0, at));
      this.buffer = larger;
    }
    return at;
  }
}
