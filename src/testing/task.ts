import type { Scope, Surroundings } from "../ports/index.ts";
import type { Life } from "./life.ts";
import type { Program } from "./types.ts";

/** A program that a node runs, in each of its lives, until it fulfils once. */
export class Task<T = unknown> {
  readonly result: Promise<T>;
  private readonly program: Program<T>;
  private readonly scope: Scope<Surroundings>;
  private over = false;
  private began: Life | undefined;
  private fulfil: (value: T) => void = () => undefined;
  private reject: (error: unknown) => void = () => undefined;

  constructor(program: Program<T>, scope: Scope<Surroundings>) {
    this.program = program;
    this.scope = scope;
    this.result = new Promise<T>((resolve, reject) => {
      this.fulfil = resolve;
      this.reject = reject;
    });
  }

  get isOver(): boolean {
    return this.over;
  }

  /** Runs it in this life, once. */
  begin(life: Life): void {
    if (this.over || this.began === life) return;
    this.began = life;
    const done = this.scope.run(life, async () => this.program(life.handle));
    done.then(
      (value) => this.settle(life, () => this.fulfil(value)),
      (error: unknown) => {
        // A node that is closed in order takes its program with it, and the next life runs it again.
        if (life.node.isStopping) return;
        this.settle(life, () => this.reject(error));
      },
    );
  }

  private settle(life: Life, end: () => void): void {
    if (this.over || !life.isPresent) return;
    this.over = true;
    end();
  }
}
