import { emptyBytes, noReplica, utf8TryDecode } from "../base/index.ts";
import { decodeConfiguration, describeConfiguration } from "./configuration.ts";
import type { Core } from "./core.ts";
import { EntryKind } from "./types.ts";
import type { Entry, Message, ProgressStatus, Ready } from "./types.ts";

export function describeRaft(core: Core): string {
  const { log } = core;
  const facts = [
    `${core.replica} ${core.role}${core.isSuspect ? " (suspect)" : ""}`,
    `term=${core.term}`,
    `vote=${core.vote}`,
    `leader=${core.leader}`,
    `commit=${core.commit}`,
    `applied=${core.applied}`,
    `log=${log.firstIndex}..${log.lastIndex}`,
    `persisted=${log.persisted}`,
    describeConfiguration(core.configuration),
  ];
  if (core.transferee !== noReplica) facts.push(`transferee=${core.transferee}`);
  return facts.join(" ");
}

export function describeProgress(progress: ProgressStatus): string {
  const { match, next, state, active, learner, suspect } = progress;
  return `${state} match=${match} next=${next}${active ? "" : " inactive"}${learner ? " learner" : ""}${suspect ? " suspect" : ""}`;
}

/** index/term and content: text in quotes when it is short and printable. */
export function describeEntry(entry: Entry): string {
  const place = `${entry.index}/${entry.term}`;
  if (entry.kind === EntryKind.configuration) return `${place} ${describeConfiguration(decodeConfiguration(entry.data))}`;
  if (entry.data.length === 0) return `${place} ""`;
  const text = utf8TryDecode(entry.data.length > 40 ? emptyBytes : entry.data) ?? "";
  return /^[\x20-\x7e]+$/.test(text) ? `${place} ${JSON.stringify(text)}` : `${place} (${entry.data.length} bytes)`;
}

export function describeEntries(entries: readonly Entry[]): string {
  return `[${entries.map(describeEntry).join(", ")}]`;
}

export function describeMessage(message: Message): string {
  const head = `${message.from}->${message.to} ${message.type} term=${message.term}`;
  switch (message.type) {
    case "pre-vote":
    case "vote":
      return `${head} last=${message.lastIndex}/${message.lastTerm}${message.transfer ? " transfer" : ""}`;
    case "pre-vote-response":
    case "vote-response":
      return `${head} ${message.granted ? "granted" : "refused"}`;
    case "append":
      return `${head} prev=${message.prevIndex}/${message.prevTerm} commit=${message.commit} ${describeEntries(message.entries)}${message.trusted === undefined ? "" : " trusted"}`;
    case "append-response": {
      const tail = message.suspect === undefined ? "" : " suspect";
      return message.rejected
        ? `${head} rejected=${message.index} hint=${message.hintIndex}/${message.hintTerm}${tail}`
        : `${head} accepted=${message.index}${tail}`;
    }
    case "heartbeat":
      return `${head} commit=${message.commit}${message.context === 0 ? "" : ` context=${message.context}`}`;
    case "commit":
      return `${head} index=${message.commit}`;
    case "heartbeat-response":
      return `${head}${message.context === 0 ? "" : ` context=${message.context}`}`;
    case "snapshot":
      return `${head} meta=${message.meta.index}/${message.meta.term} ${describeConfiguration(message.meta.configuration)}`;
    case "timeout-now":
      return head;
  }
}

/** One line per thing that is asked of the shell. */
export function describeReady(ready: Ready): string {
  const lines: string[] = [];
  const { hardState, snapshot } = ready;
  if (ready.number > 0) lines.push(`write ${ready.number}`);
  if (hardState !== undefined) lines.push(`  hard state term=${hardState.term} vote=${hardState.vote} commit=${hardState.commit}`);
  if (snapshot !== undefined)
    lines.push(`  install snapshot ${snapshot.index}/${snapshot.term} ${describeConfiguration(snapshot.configuration)}`);
  if (ready.entries.length > 0) lines.push(`  append ${describeEntries(ready.entries)}`);
  if (ready.trusted) lines.push("trusted");
  for (const message of ready.messages) lines.push(`send ${describeMessage(message)}`);
  for (const message of ready.messagesAfterPersist) lines.push(`send after persist ${describeMessage(message)}`);
  if (ready.committed.length > 0) lines.push(`committed ${describeEntries(ready.committed)}`);
  for (const state of ready.readStates) lines.push(`read context=${state.context} index=${state.index}`);
  if (ready.readsDropped.length > 0) lines.push(`reads dropped ${ready.readsDropped.join(" ")}`);
  for (const fetch of ready.fetches) lines.push(`fetch from=${fetch.from} for ${fetch.to}`);
  for (const request of ready.snapshots) lines.push(`snapshot wanted for ${request.to} min=${request.minIndex}`);
  return lines.join("\n");
}
