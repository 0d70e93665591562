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

/** Where the frame that begins at `at` ends; 0: it has not all come. Throws for one that is too large. */
export function frameEnd(bytes: Uint8Array, at: number): number {
  if (bytes.length - at < frameHeaderBytes) return 0;
  const length = ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
  if (length > frameBytesMax) throw new ConnectionFailure(ErrorCode.frameSize, `a frame of ${length} bytes`);
  const end = at + frameHeaderBytes + length;
  return end > bytes.length ? 0 : end;
}

export function streamOf(bytes: Uint8Array, at: number): number {
  return u32At(bytes, at + 5) & 0x7fff_ffff;
}

const bufferBytes = 64 * 1024;

/** Gathers the frames of one turn, so that they leave in one write, or in a few when they are many. */
export class Output {
  /** Takes the bytes; true: they are free again once it has returned. */
  private readonly write: (bytes: Uint8Array) => boolean;
  private buffer = new Uint8Array(bufferBytes);
  length = 0;
  /** Where the last frame begins, if it is one of data that may go on; -1: it may not. */
  private openAt = -1;
  private openStream = 0;

  constructor(write: (bytes: Uint8Array) => boolean) {
    this.write = write;
  }

  frame(type: number, flags: number, stream: number, payload: Uint8Array | undefined, from = 0, to: number = payload?.length ?? 0): void {
    const bytes = to - from;
    const at = this.reserve(frameHeaderBytes + bytes);
    this.head(at, bytes, type, flags, stream);
    if (payload === undefined || bytes === 0) return;
    this.put(at + frameHeaderBytes, from === 0 && to === payload.length ? payload : payload.subarray(from, to));
  }

  /** Data of a stream: in the frame before, if that is the same stream's, and has room below `frameMax`. */
  data(stream: number, payload: Uint8Array, frameMax: number): void {
    const { length } = payload;
    const begun = this.length - this.openAt - frameHeaderBytes;
    if (this.openAt >= 0 && this.openStream === stream && begun + length <= frameMax && this.length + length <= this.buffer.length) {
      const { buffer, openAt } = this;
      const bytes = begun + length;
      buffer[openAt] = bytes >>> 16;
      buffer[openAt + 1] = bytes >>> 8;
      buffer[openAt + 2] = bytes;
      this.put(this.length, payload);
      this.length += length;
      return;
    }
    const at = this.reserve(frameHeaderBytes + length);
    this.head(at, length, FrameType.data, 0, stream);
    this.put(at + frameHeaderBytes, payload);
    this.openAt = at;
    this.openStream = stream;
  }

  /** A frame whose payload is one number. */
  number(type: number, stream: number, value: number): void {
    const at = this.reserve(frameHeaderBytes + 4);
    this.head(at, 4, type, 0, stream);
    this.putU32(at + frameHeaderBytes, value);
  }

  /** What was gathered goes. */
  leave(): void {
    const bytes = this.buffer.subarray(0, this.length);
    this.length = 0;
    this.openAt = -1;
    const isFree = this.write(bytes);
    if (!isFree || this.buffer.length > bufferBytes) this.buffer = new Uint8Array(bufferBytes);
  }

  private head(at: number, bytes: number, type: number, flags: number, stream: number): void {
    const { buffer } = this;
    buffer[at] = bytes >>> 16;
    buffer[at + 1] = bytes >>> 8;
    buffer[at + 2] = bytes;
    buffer[at + 3] = type;
    buffer[at + 4] = flags;
    this.putU32(at + 5, stream);
  }

  private put(at: number, payload: Uint8Array): void {
    const { buffer } = this;
    // For the few bytes of a usual frame a loop is cheaper than a call.
    if (payload.length > 64) buffer.set(payload, at);
    else for (let i = 0; i < payload.length; i++) buffer[at + i] = payload[i] as number;
  }

  private putU32(at: number, value: number): void {
    const { buffer } = this;
    buffer[at] = value >>> 24;
    buffer[at + 1] = value >>> 16;
    buffer[at + 2] = value >>> 8;
    buffer[at + 3] = value;
  }

  /** Room for a new frame. What is gathered goes first when it would not fit behind it: large buffers are made for large frames only. */
  private reserve(bytes: number): number {
    this.openAt = -1;
    if (this.length > 0 && this.length + bytes > this.buffer.length) this.leave();
    if (bytes > this.buffer.length) this.buffer = new Uint8Array(bytes);
    const at = this.length;
    this.length += bytes;
    return at;
  }
}
