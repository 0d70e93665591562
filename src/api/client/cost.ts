import type { Command, Operation } from "../../machine/commands/index.ts";

/** About what a request has beside its body. */
export const frameBytes = 64;

/** About what a command will have as bytes: what counts are values. */
export function commandCost(command: Command): number {
  if (command.kind === "put") return command.key.length + command.value.length + frameBytes;
  return command.kind === "txn"
    ? operationsCost([...command.success, ...command.failure]) + frameBytes * (1 + command.compare.length)
    : 2 * frameBytes;
}

function operationsCost(operations: readonly Operation[]): number {
  let bytes = 0;
  for (const operation of operations) {
    if (operation.kind === "put") bytes += operation.key.length + operation.value.length + frameBytes;
    else if (operation.kind === "txn") bytes += commandCost(operation);
    else bytes += frameBytes;
  }
  return bytes;
}
