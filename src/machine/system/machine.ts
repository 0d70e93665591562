import { Reader, Writer } from "../../base/index.ts";
import { Kind, encodeReply, errorReply } from "../commands/index.ts";
import type { Mixer } from "../hash.ts";
import { SessionMachine, SessionRestorer } from "../session/machine.ts";
import type { InnerMachine } from "../session/machine.ts";
import type { SessionTable } from "../session/table.ts";
import { Section } from "../snapshot.ts";
import type { SectionSource } from "../snapshot.ts";
import { UpgradeRequired } from "../types.ts";
import type { ApplyMeta, MachineFactory } from "../types.ts";
import { decodeSystemCommand } from "./commands.ts";
import { MutableSystemState } from "./state.ts";
import type { SystemState } from "./types.ts";

const none: readonly Uint8Array[] = [];

/** The machine of group 0, without sessions. */
class SystemCore implements InnerMachine {
  readonly kind: string = "system";
  readonly compactRevision: number = 0;
  readonly state = new MutableSystemState();
  private encoded: Uint8Array | undefined;

  get revision(): number {
    return this.state.version;
  }

  get memoryBytes(): number {
    return this.bytes().length * 4;
  }

  /** The state's bytes, made once per change. */
  private bytes(): Uint8Array {
    this.encoded ??= this.state.encode();
    return this.encoded;
  }

  begin(_meta: ApplyMeta): void {
    // Nothing here ages.
  }

  apply(command: Uint8Array, at: number, _meta: ApplyMeta): Uint8Array {
    const refused = this.state.apply(decodeSystemCommand(new Reader(command, at)));
    this.encoded = undefined;
    if (refused !== undefined) return errorReply(refused.code, refused.message, refused.details, this.revision);
    const writer = new Writer(16);
    encodeReply(writer, { ok: true, revision: this.revision, result: { kind: "done" } });
    return writer.take();
  }

  query(request: Uint8Array): Uint8Array {
    if (request[0] !== Kind.summary) throw new UpgradeRequired(`system query ${request[0]}`);
    const writer = new Writer(64);
    encodeReply(writer, { ok: true, revision: this.revision, result: { kind: "system", state: this.bytes() } });
    return writer.take();
  }

  mixHash(mixer: Mixer): void {
    const bytes = this.bytes();
    mixer.bytes(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
  }

  freeze(): { readonly sources: readonly SectionSource[]; readonly bytes: number; release(): void } {
    const bytes = this.bytes();
    let written = false;
    const source: SectionSource = {
      section: Section.system,
      fill: (writer) => {
        if (written) return false;
        written = true;
        writer.raw(bytes);
        return true;
      },
    };
    return { sources: [source], bytes: bytes.length, release: () => undefined };
  }

  restore(section: number, reader: Reader): void {
    if (section !== Section.system) throw new UpgradeRequired(`snapshot section ${section}`);
    if (reader.remaining > 0) this.state.restore(reader);
  }

  due(): readonly Uint8Array[] {
    return none;
  }

  lead(): void {
    // No deadlines.
  }

  follow(): void {
    // No deadlines.
  }

  work(): boolean {
    return false;
  }
}

/** The machine of the system group: members, groups and where their replicas shall be. */
export class SystemMachine extends SessionMachine<SystemCore> {
  get state(): SystemState {
    return this.inner.state;
  }
}

/** `levelMax`: the highest feature level that its machines apply; a test's way to be another build. */
export function systemFactory(levelMax?: number): { create(): SystemMachine } & MachineFactory {
  return {
    create: () => new SystemMachine(new SystemCore(), undefined, undefined, levelMax),
    restore: () =>
      new SessionRestorer<SystemCore, SystemMachine>(
        new SystemCore(),
        (inner, sessions: SessionTable, level) => new SystemMachine(inner, sessions, level, levelMax),
        levelMax,
      ),
  };
}
