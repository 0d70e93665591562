import { OrderedMap, limits } from "../../base/index.ts";
import { Hash, Mixer } from "../hash.ts";
import { refusal, type Refusal } from "../refusal.ts";

/** The highest fence that was seen of a claim of another keyspace. */
export interface FenceMark {
  /** The keyspace of the claim, and its name there. */
  readonly source: string;
  readonly name: string;
  readonly fence: number;
}

/** Of a keyspace whose older marks were dropped: no name without a mark had a higher fence than this. */
interface Floor {
  readonly source: string;
  readonly fence: number;
}

/** The part of the marks that goes when there are too many. */
const droppedPart = 4;
/** Keyspaces with a floor of their own. More: one floor for all of them, which "" names. */
const floorsMax = 256;

/**
 * Which fence of each claim that lives in another group has acted here last. A lower one is refused: its claim was superseded.
 *
 * There is no end to names, and memory has one: the lowest fences are dropped, and a floor per keyspace remembers how high they
 * were. Fences of one keyspace are its revisions, so that a claim without a mark and below the floor is old; whether it was
 * superseded is not known any more, and it is refused. Nothing is ever let through for want of a mark.
 */
export class FenceMarks {
  marks: OrderedMap<FenceMark> = new OrderedMap<FenceMark>();
  floors: OrderedMap<Floor> = new OrderedMap<Floor>();
  readonly hash: Hash = new Hash();
  private readonly mixer = new Mixer();
  private readonly countMax: number;
  private bytes = 0;

  constructor(countMax: number = limits.fenceMarksMax) {
    this.countMax = countMax;
  }

  get memoryBytes(): number {
    return this.bytes;
  }

  /** A claim acts: FENCED, or its mark stands at this fence or above from now on. */
  raise(mark: FenceMark): Refusal | undefined {
    const { fence, name, source } = mark;
    const known = this.marks.get(nameOf(mark));
    const least = known?.fence ?? Math.max(this.floorOf(source), this.floorOf(""));
    if (fence < least)
      return refusal("FENCED", "a later claim of the same name has acted in this keyspace", { fence, least, claim: name, source });
    if (known?.fence === fence) return undefined;
    this.set(mark);
    if (this.marks.size > this.countMax) this.dropLowest();
    return undefined;
  }

  /**
   * The claims that `others` know have all ended, and those to come have fences that are larger by `by` at least: the keyspaces that
   * they live in have gone on by so much.
   */
  supersedeAll(others: FenceMarks, by: number): void {
    const rise = (source: string, fence: number): void => {
      if (fence + by > this.floorOf(source)) this.setFloor(source, fence + by);
    };
    for (const cursor = others.floors.cursor(""); cursor.value !== undefined; cursor.next()) rise(cursor.value.source, cursor.value.fence);
    for (const cursor = others.marks.cursor(""); cursor.value !== undefined; cursor.next()) rise(cursor.value.source, cursor.value.fence);
  }

  /** From a snapshot. */
  set(mark: FenceMark): void {
    const name = nameOf(mark);
    const known = this.marks.get(name);
    if (known === undefined) this.bytes += bytesOf(mark);
    else this.mix(1, known, -1);
    this.marks.set(name, mark);
    this.mix(1, mark, 1);
  }

  /** From a snapshot. */
  setFloor(source: string, fence: number): void {
    const known = this.floors.get(source);
    if (known === undefined) this.bytes += bytesOf({ source, name: "" });
    else this.mix(2, { ...known, name: "" }, -1);
    this.floors.set(source, { source, fence });
    this.mix(2, { source, name: "", fence }, 1);
  }

  /** What goes depends on the marks alone, so that every replica drops the same. */
  private dropLowest(): void {
    const all: { readonly key: string; readonly mark: FenceMark }[] = [];
    for (const cursor = this.marks.cursor(""); cursor.value !== undefined; cursor.next())
      all.push({ key: nameOf(cursor.value), mark: cursor.value });
    all.sort((a, b) => a.mark.fence - b.mark.fence || (a.key < b.key ? -1 : 1));
    for (const { key, mark } of all.slice(0, Math.ceil(all.length / droppedPart))) {
      this.marks.delete(key);
      this.bytes -= bytesOf(mark);
      this.mix(1, mark, -1);
      if (mark.fence > this.floorOf(mark.source)) this.setFloor(mark.source, mark.fence);
    }
    if (this.floors.size > floorsMax) this.joinFloors();
  }

  private joinFloors(): void {
    let highest = 0;
    const sources: string[] = [];
    for (const cursor = this.floors.cursor(""); cursor.value !== undefined; cursor.next()) {
      sources.push(cursor.value.source);
      highest = Math.max(highest, cursor.value.fence);
    }
    for (const source of sources) {
      this.mix(2, { source, name: "", fence: this.floorOf(source) }, -1);
      this.bytes -= bytesOf({ source, name: "" });
      this.floors.delete(source);
    }
    this.setFloor("", highest);
  }

  private floorOf(source: string): number {
    return this.floors.get(source)?.fence ?? 0;
  }

  private mix(what: number, { fence, name, source }: FenceMark, sign: 1 | -1): void {
    const { hash, mixer } = this;
    mixer.begin(8);
    mixer.word(what);
    mixer.text(source);
    mixer.text(name);
    mixer.number(fence);
    mixer.finish();
    if (sign === 1) hash.add(mixer.low, mixer.high);
    else hash.subtract(mixer.low, mixer.high);
  }
}

/** Keyspace names hold no zero byte. */
function nameOf({ name, source }: Pick<FenceMark, "name" | "source">): string {
  return `${source}\0${name}`;
}

function bytesOf({ name, source }: Pick<FenceMark, "name" | "source">): number {
  return 128 + 2 * (source.length + name.length);
}
