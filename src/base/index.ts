export { AssertionFailure, assert, defined, unreachable } from "./assert.ts";
export { base64Decode, base64Encode } from "./base64.ts";
export {
  MalformedBytes,
  Reader,
  Writer,
  compareBytes,
  concatBytes,
  emptyBytes,
  equalBytes,
  isWellFormed,
  latin1Decode,
  latin1Encode,
  utf8Decode,
  utf8Encode,
  utf8TryDecode,
} from "./bytes.ts";
export { crc32 } from "./crc.ts";
export type { Describable } from "./describe.ts";
export { UnumError, errorTable, isErrorCode, isUnumError } from "./errors.ts";
export type { ErrorCode, Outcome, Retry, UnumErrorOptions } from "./errors.ts";
export { hexDecode, hexEncode } from "./hex.ts";
export { defaultGroup, defaultKeyspaceName, groupId, hexId, isNodeId, noReplica, replicaId, systemGroup } from "./ids.ts";
export type { ClusterId, GroupId, NodeId, ReplicaId } from "./ids.ts";
export { limits } from "./limits.ts";
export {
  isAddressText,
  optionFlag,
  optionNames,
  optionTable,
  parseDurationMs,
  parseSizeBytes,
  readOption,
  resolveOptions,
} from "./options.ts";
export type { LogLevel, OptionInput, OptionKind, OptionName, OptionRow, OptionScope, OptionValue, OptionValues } from "./options.ts";
export { IdMap } from "./id-map.ts";
export { MapCursor, OrderedMap } from "./ordered-map.ts";
export { Prng } from "./prng.ts";
export { probeTable } from "./probes.ts";
export type { Probe, ProbeName } from "./probes.ts";
