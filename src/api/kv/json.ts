import { UnumError, latin1Decode, utf8Decode, utf8Encode } from "../../base/index.ts";

/**
 * JSON text, and nothing but what it brings back as it was: plain objects, arrays, strings, finite
 * numbers, booleans and null. Everything else (undefined, NaN, bigint, bytes, Date, Map, class
 * instances, `toJSON` …) is refused with its path, because it would come back as something else.
 */
export function encodeJson(value: unknown): Uint8Array {
  check(value, "", []);
  return utf8Encode(JSON.stringify(value));
}

export function decodeJson(bytes: Uint8Array): unknown {
  return JSON.parse(decodeText(bytes));
}

/** UTF-8, faster where it is ASCII. Throws `MalformedBytes`. */
export function decodeText(bytes: Uint8Array): string {
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] as number) > 0x7f) return utf8Decode(bytes);
  return latin1Decode(bytes);
}

function refuse(path: string, what: string): never {
  throw new UnumError(
    "INVALID_VALUE",
    `${path === "" ? "The value" : `The value at ${path}`} is ${what}, which JSON cannot bring back as it is.`,
    {
      details: { path },
    },
  );
}

function check(value: unknown, path: string, ancestors: object[]): void {
  switch (typeof value) {
    case "string":
    case "boolean":
      return;
    case "number":
      if (!Number.isFinite(value)) refuse(path, String(value));
      return;
    case "object":
      if (value !== null) checkObject(value, path, ancestors);
      return;
    case "undefined":
      return refuse(path, "undefined");
    default:
      return refuse(path, `a ${typeof value}`);
  }
}

function checkObject(value: object, path: string, ancestors: object[]): void {
  if (ancestors.includes(value)) refuse(path, "part of itself");
  ancestors.push(value);
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) check(value[i], `${path}[${i}]`, ancestors);
  } else {
    const prototype: unknown = Object.getPrototypeOf(value);
    // A plain object of another realm has another `Object.prototype`, which is still the end of the chain.
    if (prototype !== null && Object.getPrototypeOf(prototype) !== null) refuse(path, `a ${className(value)}`);
    if (Object.getOwnPropertySymbols(value).length > 0) refuse(path, "an object with a symbol as a key");
    for (const name of Object.keys(value)) check((value as Record<string, unknown>)[name], join(path, name), ancestors);
  }
  ancestors.pop();
}

function className(value: object): string {
  const constructor: unknown = (value as { constructor?: unknown }).constructor;
  return typeof constructor === "function" && constructor.name !== "" ? constructor.name : "class instance";
}

function join(path: string, name: string): string {
  if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === "" ? name : `${path}.${name}`;
}
