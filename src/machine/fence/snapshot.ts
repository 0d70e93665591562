import type { MapCursor, Reader, Writer } from "../../base/index.ts";
import { Section, type SectionSource } from "../snapshot.ts";
import type { FenceMark, FenceMarks } from "./marks.ts";

/** Marks first, then floors: [source][name][fence u64]; a floor has no name, and no claim is without one. */
export class FenceSource implements SectionSource {
  readonly section: number = Section.fences;
  private readonly marks: MapCursor<FenceMark>;
  private readonly floors: MapCursor<Pick<FenceMark, "source" | "fence">>;

  constructor(state: FenceMarks) {
    this.marks = state.marks.clone().cursor("");
    this.floors = state.floors.clone().cursor("");
  }

  fill(writer: Writer, bytes: number): boolean {
    const { floors, marks } = this;
    const start = writer.length;
    for (; marks.value !== undefined && writer.length - start < bytes; marks.next()) {
      const { fence, name, source } = marks.value;
      writer.latin1(source).latin1(name).u64(fence);
    }
    if (marks.value !== undefined) return true;
    for (; floors.value !== undefined && writer.length - start < bytes; floors.next())
      writer.latin1(floors.value.source).latin1("").u64(floors.value.fence);
    return writer.length > start;
  }
}

export function restoreFences(state: FenceMarks, reader: Reader): void {
  while (reader.remaining > 0) {
    const source = reader.latin1();
    const name = reader.latin1();
    const fence = reader.u64();
    if (name === "") state.setFloor(source, fence);
    else state.set({ source, name, fence });
  }
}
