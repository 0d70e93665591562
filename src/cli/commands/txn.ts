import type { Command } from "commander";
import { base64Decode, utf8Encode, utf8TryDecode } from "../../base/index.ts";
import type { KeySpan, Relation, Txn, TxnCompare, TxnOperation, TxnOutcome } from "../client.ts";
import { printJson } from "../command.ts";
import type { Registry } from "../command.ts";
import type { CliContext } from "../context.ts";
import { Mistake } from "../failure.ts";
import type { ExitCode } from "../failure.ts";
import { withClient } from "../session.ts";
import { entryJson, valueText } from "../values.ts";
import { storeOf, withKvFlags } from "./kv-flags.ts";
import type { KvFlags } from "./kv-flags.ts";

const example = `{"if":[{"key":"a","exists":false}],"do":[{"put":"a","value":1}],"else":[{"get":"a"}]}`;

export function addTxnCommand(kv: Command, registry: Registry): void {
  withKvFlags(kv.command("txn").argument("[file]", 'a JSON document; "-" or nothing reads standard input', "-"))
    .description("compare, then do one of two lists of operations, all at once; exit 1 when the comparison failed and there is no else")
    .addHelpText(
      "after",
      `
The document: ${example}
  comparisons  {"key":K,"exists":true|false}
               {"key":K,"version"|"revision"|"createRevision"|"value":V,"is":"="|"!="|"<"|">"}   "is" defaults to "="
  operations   {"put":K,"value":V} {"put":K,"base64":TEXT} {"get":K} {"delete":K} {"delete":{"prefix":P}} {"range":{"prefix":P},"limit":N}`,
    )
    .action(registry.action((file: string, flags: KvFlags) => txn(registry.context, file, flags)));
}

async function txn(context: CliContext, file: string, flags: KvFlags): Promise<ExitCode> {
  const document = parseTxn(await readDocument(context, file));
  return withClient(context, flags, "running the transaction", async (client) => {
    const result = await storeOf(client, flags).txn(document);
    if (flags.json === true) printJson(context, { revision: result.revision, ok: result.ok, results: result.results.map(outcomeJson) });
    else {
      context.stdout.write(`${result.ok ? "done" : "comparison failed"}, revision ${result.revision}\n`);
      for (const outcome of result.results) for (const line of outcomeLines(outcome)) context.stdout.write(`${line}\n`);
    }
    return result.ok || document.failure.length > 0 ? 0 : 1;
  });
}

async function readDocument(context: CliContext, file: string): Promise<string> {
  const bytes = file === "-" ? await context.stdin.readAll() : await context.files.read(file);
  if (bytes === undefined) throw new Mistake(`there is no file "${file}"`, 'name a JSON document, or "-" for standard input');
  const text = utf8TryDecode(bytes);
  if (text === undefined) throw new Mistake("the document is not UTF-8 text", `for example: ${example}`);
  return text;
}

type Fields = Readonly<Record<string, unknown>>;

/** Throws `Mistake`, naming what is wrong and where. */
export function parseTxn(text: string): Txn {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new Mistake(`the document is no JSON: ${error instanceof Error ? error.message : String(error)}`, `for example: ${example}`);
  }
  const fields = asFields(document, "the document");
  for (const name of Object.keys(fields)) {
    if (!["if", "do", "else"].includes(name)) throw wrong(`"${name}" is no part of a transaction`);
  }
  return {
    compare: asList(fields["if"] ?? [], "if").map((item, at) => parseCompare(asFields(item, `if[${at}]`), `if[${at}]`)),
    success: asList(fields["do"] ?? [], "do").map((item, at) => parseOperation(asFields(item, `do[${at}]`), `do[${at}]`)),
    failure: asList(fields["else"] ?? [], "else").map((item, at) => parseOperation(asFields(item, `else[${at}]`), `else[${at}]`)),
  };
}

function wrong(message: string): Mistake {
  return new Mistake(message, `for example: ${example}`);
}

function asFields(value: unknown, where: string): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw wrong(`${where} is no object`);
  return value as Fields;
}

function asList(value: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(value)) throw wrong(`"${where}" is no list`);
  return value;
}

function asKey(value: unknown, where: string): string {
  if (typeof value !== "string" || value === "") throw wrong(`${where} needs a key`);
  return value;
}

const relations: readonly string[] = ["=", "!=", "<", ">"];

function parseCompare(fields: Fields, where: string): TxnCompare {
  const key = asKey(fields["key"], where);
  if (typeof fields["exists"] === "boolean") return { key, target: "exists", exists: fields["exists"] };
  const relation = fields["is"] ?? "=";
  if (typeof relation !== "string" || !relations.includes(relation)) throw wrong(`${where}: "is" takes one of ${relations.join(" ")}`);
  for (const target of ["version", "createRevision", "revision"] as const) {
    const number = fields[target];
    if (number === undefined) continue;
    if (typeof number !== "number" || !Number.isSafeInteger(number) || number < 0)
      throw wrong(`${where}: "${target}" takes a whole number`);
    return { key, target, relation: relation as Relation, number };
  }
  if (!("value" in fields) && !("base64" in fields))
    throw wrong(`${where} compares nothing: give exists, version, revision, createRevision or value`);
  return { key, target: "value", relation: relation as Relation, value: valueBytes(fields, where) };
}

function valueBytes(fields: Fields, where: string): Uint8Array {
  const base64 = fields["base64"];
  if (base64 === undefined) {
    if (fields["value"] === undefined) throw wrong(`${where} needs a value`);
    return utf8Encode(JSON.stringify(fields["value"]));
  }
  if (typeof base64 !== "string") throw wrong(`${where}: "base64" takes text`);
  try {
    return base64Decode(base64);
  } catch (error) {
    throw wrong(`${where}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function parseOperation(fields: Fields, where: string): TxnOperation {
  if ("put" in fields) return { kind: "put", key: asKey(fields["put"], where), value: valueBytes(fields, where) };
  if ("get" in fields) return { kind: "get", key: asKey(fields["get"], where) };
  if ("delete" in fields) {
    const target = fields["delete"];
    return { kind: "delete", target: typeof target === "string" ? asKey(target, where) : parseSpan(asFields(target, where), where) };
  }
  if ("range" in fields) {
    const limit = fields["limit"];
    if (limit !== undefined && (typeof limit !== "number" || !Number.isSafeInteger(limit) || limit < 1))
      throw wrong(`${where}: "limit" takes a whole number`);
    return { kind: "range", range: parseSpan(asFields(fields["range"], where), where), limit };
  }
  throw wrong(`${where} is no operation: give put, get, delete or range`);
}

function parseSpan(fields: Fields, where: string): KeySpan {
  if (typeof fields["prefix"] === "string") return { prefix: fields["prefix"] };
  const from = asKey(fields["from"], where);
  return fields["to"] === undefined ? { from } : { from, to: asKey(fields["to"], where) };
}

function outcomeJson(outcome: TxnOutcome): unknown {
  switch (outcome.kind) {
    case "put":
      return { kind: "put" };
    case "delete":
      return { kind: "delete", deleted: outcome.deleted };
    case "get":
      return { kind: "get", entry: outcome.entry === undefined ? null : entryJson(outcome.entry) };
    case "range":
      return { kind: "range", entries: outcome.entries.map(entryJson), more: outcome.more };
  }
}

function outcomeLines(outcome: TxnOutcome): readonly string[] {
  switch (outcome.kind) {
    case "put":
      return ["put"];
    case "delete":
      return [`deleted ${outcome.deleted}`];
    case "get":
      return outcome.entry === undefined ? ["nothing"] : [`${valueText(outcome.entry.keyBytes)}\t${valueText(outcome.entry.value)}`];
    case "range":
      return outcome.entries.map((entry) => `${valueText(entry.keyBytes)}\t${valueText(entry.value)}`);
  }
}
