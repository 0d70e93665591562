import type { Command } from "commander";
import { completionScript, completionShells } from "../completion.ts";
import type { Shell } from "../completion.ts";
import type { Registry } from "../command.ts";
import { Mistake } from "../failure.ts";

export function addCompletionCommand(program: Command, registry: Registry): void {
  program
    .command("completion")
    .argument("<shell>", completionShells.join(", "))
    .description("print a completion script")
    .addHelpText(
      "after",
      `
  bash  source <(unum completion bash)
  zsh   unum completion zsh > "\${fpath[1]}/_unum"
  fish  unum completion fish > ~/.config/fish/completions/unum.fish`,
    )
    .action(
      registry.action(async (shell: string) => {
        if (!isShell(shell)) throw new Mistake(`there is no completion for "${shell}"`, `use one of: ${completionShells.join(", ")}`);
        registry.context.stdout.write(completionScript(program, shell));
        return 0;
      }),
    );
}

function isShell(text: string): text is Shell {
  return (completionShells as readonly string[]).includes(text);
}
