import { Option } from "commander";
import type { Command } from "commander";
import { isAddressText, optionFlag, optionTable } from "../base/index.ts";
import type { OptionName, OptionRow } from "../base/index.ts";
import type { CliContext } from "./context.ts";
import { Mistake } from "./failure.ts";
import type { ExitCode } from "./failure.ts";
import { closest } from "./suggest.ts";

/** What a folder of commands gets to hang its commands on. */
export interface Registry {
  readonly context: CliContext;
  /** Turns a handler into a commander action whose result becomes the exit code. */
  action<A extends readonly unknown[]>(handler: (...args: A) => Promise<ExitCode>): (...args: A) => Promise<void>;
}

/** A command that only groups others: alone it is a mistake that names them. */
export function group(parent: Command, name: string, summary: string): Command {
  const command = parent.command(name).description(summary).allowExcessArguments(true);
  command.action(() => {
    refuseUnknownCommand(command);
    const names = command.commands.map((sub) => sub.name());
    throw new Mistake(`"${commandPath(command)}" needs one of: ${names.join(", ")}`, `see: ${commandPath(command)} --help`);
  });
  return command;
}

/** For the action of a command that only has commands below it: a word that is none of them. */
export function refuseUnknownCommand(command: Command): void {
  const word = command.args[0];
  if (word === undefined) return;
  const near = closest(
    word,
    command.commands.map((sub) => sub.name()),
  );
  const path = commandPath(command);
  throw new Mistake(`unknown command "${path} ${word}"`, near === undefined ? `see: ${path} --help` : `did you mean "${path} ${near}"?`);
}

export function commandPath(command: Command): string {
  return command.parent === null ? command.name() : `${commandPath(command.parent)} ${command.name()}`;
}

export function withClusterFlags(command: Command): Command {
  return command.addOption(tableOption("endpoint")).addOption(tableOption("timeout"));
}

export function withJson(command: Command): Command {
  return command.option("--json", "print JSON");
}

export function withYes(command: Command): Command {
  return command.option("-y, --yes", "do not ask");
}

/** The flag of one row of the options table, with its help; the text is validated by who uses it. */
export function tableOption(name: OptionName): Option {
  const row: OptionRow = optionTable[name];
  const flag = row.kind === "switch" ? optionFlag(name) : `${optionFlag(name)} <${row.placeholder}>`;
  const fallback = row.fallback ?? row.otherwise;
  const notes = [row.environment, ...(fallback === "" ? [] : [`default: ${fallback}`])];
  return new Option(flag, `${row.meaning} (${notes.join("; ")})`);
}

/** A whole number from a flag. */
export function readCount(flag: string, text: string, min: number, max: number = Number.MAX_SAFE_INTEGER): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw new Mistake(`${flag} takes a whole number, not "${text}"`, `for example: ${flag} ${Math.max(min, 1)}`);
  if (value < min) throw new Mistake(`${flag} is at least ${min}, not ${text}`, `for example: ${flag} ${min}`);
  if (value > max) throw new Mistake(`${flag} is at most ${max}, not ${text}`, `for example: ${flag} ${max}`);
  return value;
}

export function optionalCount(flag: string, text: string | undefined, min: number, max?: number): number | undefined {
  return text === undefined ? undefined : readCount(flag, text, min, max);
}

export function readAddressFlag(flag: string, text: string): string {
  if (!isAddressText(text)) throw new Mistake(`${flag} takes host:port, not "${text}"`, `for example: ${flag} 127.0.0.1:7400`);
  return text;
}

/** One JSON document and a newline, for the next program. */
export function printJson(context: CliContext, value: unknown): void {
  context.stdout.write(`${JSON.stringify(value)}\n`);
}
