import { describeCall } from "../history.ts";
import type { History } from "../history.ts";
import type { Chronicle } from "./chronicle.ts";

/** A bank of accounts, in which money only moves: keys that begin with `prefix`. */
export interface Bank {
  readonly prefix: string;
  readonly accounts: number;
  readonly total: number;
}

/** The balance that an account's value begins with; what is behind "#" makes each value its own. */
export function balanceOf(value: string): number {
  return Number(value.slice(0, value.indexOf("#")));
}

/** Whoever looks at all accounts at once sees all the money, and no account below nothing; so does every revision that ever was. */
export function checkBank(history: History, chronicle: Chronicle, bank: Bank): string[] {
  const found: string[] = [];
  const isAccount = (key: string): boolean => key.startsWith(bank.prefix);
  for (const call of history.calls) {
    const { result } = call;
    if (call.outcome !== "ok" || result === undefined) continue;
    const entries =
      result.kind === "page"
        ? result.entries
        : result.kind === "reads"
          ? result.reads.flatMap(({ entry }) => (entry === undefined ? [] : [entry]))
          : [];
    const balances = entries.filter(({ key }) => isAccount(key)).map(({ value }) => balanceOf(value));
    // Before the bank is founded there are no accounts; a read of some of them says nothing of the total.
    const wrong = whatIsWrong(balances, bank, balances.length === bank.accounts);
    if (wrong !== undefined) found.push(`${wrong}: ${describeCall(call)}`);
  }
  const now = new Map<string, number>();
  for (const { events, revision } of chronicle.changes) {
    for (const { key, value } of events) if (isAccount(key)) now.set(key, value === undefined ? 0 : balanceOf(value));
    const wrong = whatIsWrong([...now.values()], bank, now.size > 0);
    if (wrong === undefined) continue;
    found.push(`${wrong} at revision ${revision}`);
    break;
  }
  return found;
}

function whatIsWrong(balances: readonly number[], bank: Bank, whole: boolean): string | undefined {
  const sum = balances.reduce((total, balance) => total + balance, 0);
  if (whole && sum !== bank.total) return `the bank has ${sum}, and not ${bank.total}`;
  return balances.some((balance) => !(balance >= 0)) ? "an account is below nothing" : undefined;
}
