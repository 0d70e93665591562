import type { Command } from "commander";

export const completionShells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof completionShells)[number];

/** One command of the table as a completion sees it. */
interface Entry {
  /** "kv put"; empty for the program itself. */
  readonly path: string;
  readonly words: readonly { readonly word: string; readonly help: string }[];
  readonly flags: readonly { readonly flag: string; readonly help: string; readonly takesValue: boolean }[];
}

function entries(program: Command): Entry[] {
  const all: Entry[] = [];
  const visit = (command: Command, path: string): void => {
    const words = command.commands.map((sub) => ({ word: sub.name(), help: firstSentence(sub.description()) }));
    const shells = command.name() === "completion" ? completionShells.map((shell) => ({ word: shell, help: "" })) : [];
    const flags = command.options
      .filter((option) => !option.hidden && option.long !== undefined && option.long !== null)
      .map((option) => ({
        flag: option.long ?? "",
        help: firstSentence(option.description),
        takesValue: option.required || option.optional,
      }));
    all.push({ path, words: [...words, ...shells], flags: [...flags, { flag: "--help", help: "print help", takesValue: false }] });
    for (const sub of command.commands) visit(sub, path === "" ? sub.name() : `${path} ${sub.name()}`);
  };
  visit(program, "");
  return all;
}

/** Up to the first full stop, parenthesis or colon, without what a shell would read. */
function firstSentence(text: string): string {
  return text.replace(/\s*(?:[(;]|[.:](?=\s|$)).*$/s, "").replace(/["'`$\\[\]]/g, "");
}

/** A script for one shell, made from the command table: no command is listed twice by hand. */
export function completionScript(program: Command, shell: Shell): string {
  const all = entries(program);
  const name = program.name();
  if (shell === "bash") return bashScript(name, all);
  return shell === "zsh" ? zshScript(name, all) : fishScript(name, all);
}

function bashScript(name: string, all: readonly Entry[]): string {
  const cases = all.map(
    (entry) =>
      `    "${entry.path}") words="${[...entry.words.map((item) => item.word), ...entry.flags.map((item) => item.flag)].join(" ")}" ;;`,
  );
  return `# ${name} completion for bash; source it, or put it in bash_completion.d
_${name}() {
  local path="" words="" word next at
  local current="\${COMP_WORDS[COMP_CWORD]}"
  for ((at = 1; at < COMP_CWORD; at++)); do
    word="\${COMP_WORDS[at]}"
    next="\${path:+$path }$word"
    case "$next" in
      ${commandPaths(all)
        .map((path) => `"${path}"`)
        .join("|")}) path="$next" ;;
    esac
  done
  case "$path" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _${name} ${name}
`;
}

function zshScript(name: string, all: readonly Entry[]): string {
  const describe = (item: { readonly help: string }, word: string): string =>
    `'${word.replaceAll(":", "\\:")}${item.help === "" ? "" : `:${item.help}`}'`;
  const cases = all.map((entry) => {
    const items = [...entry.words.map((item) => describe(item, item.word)), ...entry.flags.map((item) => describe(item, item.flag))];
    return `    "${entry.path}") items=(${items.join(" ")}) ;;`;
  });
  return `#compdef ${name}
_${name}() {
  local path_="" next word
  local -a items
  for word in "\${(@)words[2,CURRENT-1]}"; do
    next="\${path_:+$path_ }$word"
    case "$next" in
      ${commandPaths(all)
        .map((path) => `"${path}"`)
        .join("|")}) path_="$next" ;;
    esac
  done
  case "$path_" in
${cases.join("\n")}
  esac
  _describe '${name}' items || _files
}
if [ "$funcstack[1]" = "_${name}" ]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function fishScript(name: string, all: readonly Entry[]): string {
  const lines = all.flatMap((entry) => {
    const condition = `-n '__${name}_at "${entry.path}"'`;
    return [
      ...entry.words.map((item) => `complete -c ${name} -f ${condition} -a ${item.word}${item.help === "" ? "" : ` -d '${item.help}'`}`),
      ...entry.flags.map(
        (item) => `complete -c ${name} ${condition} -l ${item.flag.slice(2)}${item.takesValue ? " -r" : ""} -d '${item.help}'`,
      ),
    ];
  });
  return `# ${name} completion for fish
function __${name}_at
    set -l path
    for word in (commandline -opc)[2..-1]
        set -l next (string join ' ' $path $word)
        if contains -- "$next" ${commandPaths(all)
          .map((path) => `'${path}'`)
          .join(" ")}
            set path $path $word
        end
    end
    test "$path" = "$argv[1]"
end
${lines.join("\n")}
`;
}

function commandPaths(all: readonly Entry[]): readonly string[] {
  return all.map((entry) => entry.path).filter((path) => path !== "");
}
