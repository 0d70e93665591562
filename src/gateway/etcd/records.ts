import type { KV } from "../../api/index.ts";

/** The gateway's own keyspace: no client of etcd can name it, and writing there moves nothing in theirs. */
export const recordsKeyspace = "etcd";

/** What a gateway tells of itself, and what was announced of members that do not run yet. */
export interface MemberRecord {
  readonly clientUrls: readonly string[];
}

export interface AnnouncedMember {
  readonly peerUrls: readonly string[];
  readonly learner: boolean;
}

/** A write was refused for the quota by this member's gateway, when so much was free. */
export interface QuotaAlarm {
  readonly node: string;
  readonly freeBytes: number;
}

const quotaKey = "alarm/nospace";
const memberPrefix = "member/";
const announcedPrefix = "announced/";

/** Members as far as only gateways know them. Ids are 16 hex digits. */
export class MemberRecords {
  private readonly kv: KV;

  constructor(kv: KV) {
    this.kv = kv;
  }

  /** Writes only what has changed. */
  async tell(node: string, record: MemberRecord): Promise<void> {
    const known = await this.kv.get<MemberRecord>(`${memberPrefix}${node}`);
    if (JSON.stringify(known?.value) !== JSON.stringify(record)) await this.kv.put(`${memberPrefix}${node}`, record);
  }

  async told(): Promise<ReadonlyMap<string, MemberRecord>> {
    return this.read<MemberRecord>(memberPrefix);
  }

  async announced(): Promise<ReadonlyMap<string, AnnouncedMember>> {
    return this.read<AnnouncedMember>(announcedPrefix);
  }

  async announce(id: string, member: AnnouncedMember): Promise<void> {
    await this.kv.put(`${announcedPrefix}${id}`, member);
  }

  /** False: none was announced under this id. */
  async withdraw(id: string): Promise<boolean> {
    return (await this.kv.delete(`${announcedPrefix}${id}`)).deleted > 0;
  }

  async raised(): Promise<QuotaAlarm | undefined> {
    return (await this.kv.get<QuotaAlarm>(quotaKey, { consistency: "stale", timeout: 1000 }))?.value;
  }

  async raise(alarm: QuotaAlarm): Promise<void> {
    await this.kv.put(quotaKey, alarm);
  }

  async disarm(): Promise<void> {
    await this.kv.delete(quotaKey);
  }

  private async read<T>(prefix: string): Promise<ReadonlyMap<string, T>> {
    const found = new Map<string, T>();
    const page = await this.kv.range<T>({ prefix }, { consistency: "stale", timeout: 1000 });
    for (const { key, value } of page.entries) found.set(key.slice(prefix.length), value);
    return found;
  }
}
