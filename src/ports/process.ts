/**
 * The operating system as a command line sees it: its own process, children, a terminal, small
 * files. The engine never uses these; only `cli/` does, so that every command runs under a test.
 */
export type Signal = "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGKILL" | "SIGSTOP" | "SIGCONT";

export interface Processes {
  readonly pid: number;
  /** The variables of this process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The directory that relative paths start from. */
  readonly directory: string;
  /**
   * Starts this program again as a child with other arguments: `unum <args>`. It lives in our process
   * group; its standard input is a pipe that closes when we end, however we end, so that a child
   * that watches it leaves no orphan.
   */
  spawn(request: SpawnRequest): Child;
  /** Starts another program, which shares our terminal: input, output and errors. */
  run(request: RunRequest): Child;
  /** Whether a process with this id exists. */
  alive(pid: number): boolean;
  /** Calls back on each arrival until the returned function is called; meanwhile the signal does nothing else. */
  onSignal(signal: Signal, callback: () => void): () => void;
}

export interface SpawnRequest {
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Each whole line that the child writes to its standard error. */
  readonly onErrorLine?: (line: string) => void;
}

export interface RunRequest {
  /** Found as a shell finds it; no shell reads it. */
  readonly program: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

export interface Child {
  /** 0 when it could not be started. */
  readonly pid: number;
  /** False when it has ended already. */
  kill(signal: Signal): boolean;
  /** Fulfils once, when it has ended; never rejects. */
  readonly exited: Promise<ChildExit>;
}

export interface ChildExit {
  /** Null when a signal ended it. */
  readonly code: number | null;
  readonly signal: string | null;
}

export interface Output {
  readonly terminal: boolean;
  /** Of the terminal at this moment; 80 and 24 where there is none. */
  readonly columns: number;
  readonly rows: number;
  /** Queues text or bytes, in order. */
  write(data: string | Uint8Array): void;
  /** Fulfils when what was written has been taken by the operating system. */
  drained(): Promise<void>;
  /** Calls back after each change of the terminal's size until the returned function is called. */
  onResize(callback: () => void): () => void;
}

export interface Input {
  readonly terminal: boolean;
  /** Everything until its end. */
  readAll(): Promise<Uint8Array>;
  /** One line without its end; undefined at the end of the input. */
  readLine(): Promise<string | undefined>;
  /**
   * Single keys as they are pressed, without echo ("\u0003" is Ctrl-C), until the returned function
   * is called, which restores the terminal. Does nothing where there is no terminal.
   */
  onKey(callback: (key: string) => void): () => void;
  /** Calls back once when the other side has closed it. */
  onEnd(callback: () => void): void;
}

/** Files outside of a node's data directory. Paths are absolute or relative to the process's directory. */
export interface Files {
  /** Undefined when there is none. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Makes directories on the way and replaces the file as a whole. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  exists(path: string): Promise<boolean>;
  /** The bytes in order, in chunks. Rejects when there is no such file. */
  stream(path: string): AsyncIterable<Uint8Array>;
  /** A file that appears under its name, durable, when it is finished, and never before. */
  create(path: string): Promise<FileSink>;
  /** A file or a directory with all that is in it; removing what is not there fulfils. */
  remove(path: string): Promise<void>;
  /** Makes a new empty directory in the system's temporary place and returns its path. */
  makeTemporary(prefix: string): Promise<string>;
}

export interface FileSink {
  write(bytes: Uint8Array): Promise<void>;
  finish(): Promise<void>;
  /** Leaves nothing behind. */
  abandon(): Promise<void>;
}
