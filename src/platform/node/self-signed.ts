import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { isIP } from "node:net";

/**
 * A new P-256 key, and an X.509 certificate for these hosts that it signed itself. Node.js reads certificates and makes none, so the few structures
 * that one needs are written here, in DER (ITU-T X.690, RFC 5280). `commonName`: of a client that is somebody; servers have none.
 */
export function selfSigned(
  hosts: readonly string[],
  years: number,
  nowMs: number,
  commonName?: string,
): { readonly certificate: string; readonly key: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x7f) | 0x40;
  const part = (id: string, text: string): Buffer => node(tags.set, sequence(oid(id), node(tags.utf8, Buffer.from(text))));
  const common = commonName === undefined ? [] : [part("2.5.4.3", commonName)];
  // Organization, and a unit that nobody else has: among authorities of one name the wrong one may be tried, and no other.
  const name = sequence(part("2.5.4.10", "unum"), part("2.5.4.11", serial.toString("hex")), ...common);
  // The clocks of clients may be behind.
  const validity = sequence(time(nowMs - 3_600_000), time(nowMs + years * 365 * 86_400_000));
  const body = sequence(
    explicit(0, integer(Buffer.from([2]))),
    integer(serial),
    ecdsaWithSha256,
    name,
    validity,
    name,
    publicKey.export({ type: "spki", format: "der" }),
    explicit(3, extensions(hosts)),
  );
  const signature = sign("sha256", body, privateKey);
  const certificate = sequence(body, ecdsaWithSha256, bits(signature));
  const lines = certificate.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

const tags = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

function node(tag: number, ...contents: readonly Buffer[]): Buffer {
  const content = Buffer.concat(contents);
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.from([tag, length]), content]);
  const size = length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function sequence(...contents: readonly Buffer[]): Buffer {
  return node(tags.sequence, ...contents);
}

/** Context-specific and constructed. */
function explicit(number: number, content: Buffer): Buffer {
  return node(0xa0 | number, content);
}

/** Of bytes whose first bit is not set. */
function integer(bytes: Buffer): Buffer {
  return node(tags.integer, bytes);
}

function bits(bytes: Buffer, unused = 0): Buffer {
  return node(tags.bits, Buffer.from([unused]), bytes);
}

function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const digits = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) digits.unshift((left & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return node(tags.oid, Buffer.from(bytes));
}

/** GeneralizedTime may say any year; up to 2049 the standard wants the short form. */
function time(ms: number): Buffer {
  const text = new Date(ms)
    .toISOString()
    .replace(/\.\d+Z$/, "Z")
    .replace(/[-:T]/g, "");
  return Number(text.slice(0, 4)) < 2050 ? node(0x17, Buffer.from(text.slice(2))) : node(tags.time, Buffer.from(text));
}

const ecdsaWithSha256 = sequence(oid("1.2.840.10045.4.3.2"));

function extensions(hosts: readonly string[]): Buffer {
  const extension = (id: string, value: Buffer, critical = false): Buffer =>
    sequence(oid(id), ...(critical ? [node(tags.boolean, Buffer.from([0xff]))] : []), node(tags.octets, value));
  return sequence(
    // It is its own authority, so that a client may be given it as one.
    extension("2.5.29.19", sequence(node(tags.boolean, Buffer.from([0xff]))), true),
    // digitalSignature and keyCertSign
    extension("2.5.29.15", bits(Buffer.from([0x84]), 2), true),
    extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2"))),
    extension("2.5.29.17", sequence(...hosts.map(alternative))),
  );
}

function alternative(host: string): Buffer {
  const family = isIP(host);
  if (family === 0) return node(0x82, Buffer.from(host));
  return node(0x87, family === 4 ? Buffer.from(host.split(".").map(Number)) : addressBytes(host));
}

/** The sixteen bytes of an IPv6 address. */
function addressBytes(host: string): Buffer {
  const [head = "", tail] = host.replace(/%.*$/, "").split("::");
  const words = (text: string): number[] =>
    text === ""
      ? []
      : text.split(":").flatMap((word) => {
          if (!word.includes(".")) return [Number.parseInt(word, 16)];
          const [a = 0, b = 0, c = 0, d = 0] = word.split(".").map(Number);
          return [a * 256 + b, c * 256 + d];
        });
  const front = words(head);
  const back = tail === undefined ? [] : words(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 0xff]));
}
