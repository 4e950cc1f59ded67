/** Reads the current state of changed documents, in parts of limited size. */
import { type Collection, collections } from "../documents/source.ts";
import type { ChangedKeys } from "../sources/change_stream.ts";
import { type FollowedMongo, idOf, type KeyedRaw } from "../sources/mongo_follow.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { DocumentStates } from "./apply.ts";
import { refOf } from "./mapping.ts";

/** Approximate bytes of documents in memory at once. A document has at most 16 MB. */
const partBytes = 16 * 1024 * 1024;

/** A part of a batch. The last one comes with the documents that do not exist any more. */
export interface Part {
  states: DocumentStates[];
  isLast: boolean;
}

function missingOf(
  collection: Collection,
  keys: ReadonlyMap<string, Uint8Array>,
  found: ReadonlySet<string>,
) {
  const missing = [...keys].filter(([tag]) => !found.has(tag));
  return missing.map(([, key]) => refOf(collection, idOf(key)));
}

/** Reads the documents with these keys, parents first. Always yields a last part. */
export async function* readParts(source: FollowedMongo, keys: ChangedKeys): AsyncGenerator<Part> {
  let states: DocumentStates[] = [];
  let bytes = 0;
  for (const collection of collections) {
    const wanted = keys.get(collection);
    if (wanted === undefined || wanted.size === 0) continue;
    const tags = new Set<string>();
    let found: KeyedRaw[] = [];
    for await (const batch of source.readByKey(collection, [...wanted.values()])) {
      for (const document of batch) {
        tags.add(document.tag);
        found.push(document);
        bytes += document.raw.original().length;
        if (bytes < partBytes) continue;
        yield { states: [...states, { collection, found, missing: [] }], isLast: false };
        states = [];
        found = [];
        bytes = 0;
      }
    }
    states.push({ collection, found, missing: missingOf(collection, wanted, tags) });
  }
  failpoint("stream.documents_read");
  yield { states, isLast: true };
}
