/**
 * CRC-32 (IEEE 802.3, reflected, polynomial 0xedb88320), eight bytes a step: the same function as
 * `zlib.crc32`, which the pure layers cannot call. Platforms offer the fast one as the checksum port.
 */
const tables: readonly Uint32Array[] = makeTables();

function makeTables(): Uint32Array[] {
  const all: Uint32Array[] = [];
  for (let t = 0; t < 8; t++) all.push(new Uint32Array(256));
  const first = all[0] as Uint32Array;
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? (c >>> 1) ^ 0xedb88320 : c >>> 1;
    first[n] = c >>> 0;
  }
  for (let t = 1; t < 8; t++) {
    const previous = all[t - 1] as Uint32Array;
    const table = all[t] as Uint32Array;
    for (let n = 0; n < 256; n++) {
      const c = previous[n] as number;
      table[n] = (c >>> 8) ^ (first[c & 0xff] as number);
    }
  }
  return all;
}

/** The checksum of `bytes`, continued from `seed` (the result of an earlier call, or 0). An unsigned 32-bit number. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  // biome-ignore format: eight tables on two lines
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables as [
    Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array, Uint32Array,
  ];
  let c = ~seed >>> 0;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    const low =
      c ^ ((bytes[i] as number) | ((bytes[i + 1] as number) << 8) | ((bytes[i + 2] as number) << 16) | ((bytes[i + 3] as number) << 24));
    c =
      (t7[low & 0xff] as number) ^
      (t6[(low >>> 8) & 0xff] as number) ^
      (t5[(low >>> 16) & 0xff] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[bytes[i + 4] as number] as number) ^
      (t2[bytes[i + 5] as number] as number) ^
      (t1[bytes[i + 6] as number] as number) ^
      (t0[bytes[i + 7] as number] as number);
  }
  for (; i < bytes.length; i++) c = (c >>> 8) ^ (t0[(c ^ (bytes[i] as number)) & 0xff] as number);
  return ~c >>> 0;
}
