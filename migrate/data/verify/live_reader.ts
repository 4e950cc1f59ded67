/** Compares documents with what the target has of them, in one snapshot of the target. */
import type postgres from "postgres";
import { legacyIdOf } from "../documents/ids.ts";
import type { Collection } from "../documents/source.ts";
import { ObjectId } from "../documents/tree.ts";
import { clockPosition } from "../sync/poll.ts";
import { type FollowedMongo, idOf, type KeyedRaw } from "../sources/mongo_follow.ts";
import { mapDocuments, type MappedDocuments, refOf } from "../sync/mapping.ts";
import { Parents } from "../sync/parents.ts";
import { failpoint } from "../tools/failpoint.ts";
import { compareDocuments, type LiveComparison, type MissingDocument } from "./live_differences.ts";
import {
  type Claim,
  readClaimed,
  readEmailHolders,
  readEntries,
  readExceptions,
  readRows,
  readWrongDerived,
  type TargetState,
} from "./live_target.ts";

/** Documents of consecutive `_id`s, and the `legacy_id`s of the rows that must be theirs. */
export interface ComparedPage {
  documents: readonly KeyedRaw[];
  range: { after: string; upTo: string };
}

/** Time after which the names of tasks are read again if a subtask's task is unknown, in milliseconds. */
const parentsMs = 1000;

/** Compares documents through one session. After an error the session must be discarded. */
export class LiveReader {
  #parents = new Parents();
  #parentsAt = -Infinity;

  constructor(
    readonly sql: postgres.ReservedSql,
    readonly source: FollowedMongo,
    readonly fingerprint: string,
    readonly isPolled: boolean,
  ) {}

  /** Compares documents of consecutive `_id`s, and the rows between them. */
  async comparePage(collection: Collection, { documents, range }: ComparedPage): Promise<LiveComparison> {
    const legacyIds = documents.filter(({ id }) => !(id instanceof ObjectId))
      .map(({ id }) => legacyIdOf(collection, id));
    return await this.#inSnapshot(async () => {
      const mapped = await this.#map(collection, documents, false);
      return await this.#compare(collection, mapped, [], { range, legacyIds });
    });
  }

  /** Reads the documents with these keys, `{_id: …}` as BSON, and compares them. */
  async compareKeys(collection: Collection, keys: readonly Uint8Array[]): Promise<LiveComparison> {
    const { found, missing } = await this.#readKeys(collection, keys);
    failpoint("live.documents_read");
    const legacyIds = [...found.map(({ id }) => legacyIdOf(collection, id)), ...missing.map(legacyIdOfRef)];
    return await this.#inSnapshot(async () => {
      const mapped = await this.#map(collection, found, true);
      return await this.#compare(collection, mapped, missing, { legacyIds });
    });
  }

  /** Returns those of the keys that no document has. */
  async findMissing(collection: Collection, keys: readonly Uint8Array[]): Promise<Uint8Array[]> {
    return (await this.#readKeys(collection, keys)).missing.map(({ key }) => key);
  }

  /** Returns the cluster time of the source: later than all that was read before. */
  position(): Promise<bigint> {
    return this.isPolled ? clockPosition(this.source) : this.source.clusterPosition();
  }

  async #readKeys(collection: Collection, keys: readonly Uint8Array[]) {
    const wanted = new Map(keys.map((key) => {
      const ref = refOf(collection, idOf(key));
      return [ref.documentId, { ref, key }];
    }));
    const found: KeyedRaw[] = [];
    for await (const batch of this.source.readByKey(collection, keys)) found.push(...batch);
    for (const { id } of found) wanted.delete(refOf(collection, id).documentId);
    return { found, missing: [...wanted.values()] };
  }

  async #inSnapshot<T>(work: () => Promise<T>): Promise<T> {
    const { sql } = this;
    await sql`begin isolation level repeatable read read only`;
    const result = await work();
    await sql`commit`;
    return result;
  }

  /** Maps documents. Reads the names of tasks again, if it must or a task is unknown. */
  async #map(
    collection: Collection,
    documents: readonly KeyedRaw[],
    mustBeFresh: boolean,
  ): Promise<MappedDocuments> {
    const map = () => mapDocuments(collection, documents, (name) => this.#parents.find(name));
    if (collection !== "dramatiq_tasks") return map();
    if (mustBeFresh) await this.#readParents();
    const mapped = map();
    if (mapped.waiting.length === 0 || performance.now() < this.#parentsAt + parentsMs) return mapped;
    await this.#readParents();
    return map();
  }

  async #readParents(): Promise<void> {
    this.#parents = await Parents.read(this.sql);
    this.#parentsAt = performance.now();
  }

  async #compare(
    collection: Collection,
    mapped: MappedDocuments,
    missing: readonly MissingDocument[],
    claim: Claim,
  ): Promise<LiveComparison> {
    const { sql, fingerprint } = this;
    const { staged, rejected, waiting } = mapped;
    const keys = [...new Set(staged.map(({ key }) => key))];
    const claimed = await readClaimed(sql, collection, claim);
    const refs = [...staged, ...rejected, ...waiting, ...missing.map(({ ref }) => ref)];
    const ids = refs.map(({ documentId }) => documentId);
    const known = new Set(refs.map(({ legacyId }) => legacyId));
    for (const { legacyId } of claimed) {
      if (!known.has(legacyId)) ids.push(refOf(collection, new ObjectId(legacyId)).documentId);
    }
    const exceptions = await readExceptions(sql, fingerprint, collection, ids);
    const isException = ({ documentId }: { documentId: string }) => exceptions.has(documentId);
    const emails = collection === "users" ? staged.filter(isException).map(({ row }) => row!.email!) : [];
    const target: TargetState = {
      rows: await readRows(sql, collection, staged),
      claimed,
      exceptions,
      entries: await readEntries(sql, collection, ids),
      emailHolders: await readEmailHolders(sql, emails),
      derived: collection === "tasks" ? await readWrongDerived(sql, keys) : new Map(),
    };
    failpoint("live.target_read");
    return compareDocuments(collection, mapped, missing, target);
  }
}

const legacyIdOfRef = ({ ref }: MissingDocument): string => ref.legacyId;
