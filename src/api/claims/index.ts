export type { ClaimsHost } from "./acquire.ts";
export { markOf } from "./claim.ts";
export type { ClaimMark } from "./claim.ts";
export { openCounter, openSequence } from "./counter.ts";
export { openElection } from "./election.ts";
export { openLock, openSemaphore } from "./lock.ts";
export { openParty } from "./party.ts";
export { Seats, claimsMax } from "./seats.ts";
export type {
  Claim,
  ClaimOptions,
  ClaimScope,
  ClaimSpaceOptions,
  Counter,
  Election,
  ElectionOptions,
  GuardOptions,
  Held,
  Leader,
  Lock,
  Party,
  PartyMember,
  Semaphore,
  Sequence,
} from "./types.ts";
