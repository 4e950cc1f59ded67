/** Where unsent entries are kept: in IndexedDB, or in memory where a browser has none. */
import { type DBSchema, type IDBPDatabase, openDB } from "idb";
import type { Entry, NewEntry } from "./entry.ts";

export interface Changes {
  put?: readonly Entry[];
  remove?: readonly Entry[];
}

export interface Store {
  add: (entry: NewEntry) => Promise<unknown>;
  /** Lists all entries, oldest first. */
  list: () => Promise<Entry[]>;
  /** Changes entries at once. `decide` gets all of them; other tabs wait meanwhile. */
  update: (decide: (entries: readonly Entry[]) => Changes) => Promise<void>;
}

interface Schema extends DBSchema {
  outbox: { key: number; value: Entry };
}

class DatabaseStore implements Store {
  constructor(readonly database: IDBPDatabase<Schema>) {}

  /** Begins a transaction. Waiting for the disk is not needed: what was committed outlives the tab. */
  #begin() {
    return this.database.transaction("outbox", "readwrite", { durability: "relaxed" });
  }

  /** Hands the entry to the browser before it returns, so that closing the tab does not lose it. */
  add(entry: NewEntry): Promise<unknown> {
    const tx = this.#begin();
    // The store gives the id.
    const adding = tx.store.add(entry as Entry);
    tx.commit();
    return Promise.all([adding, tx.done]);
  }

  list(): Promise<Entry[]> {
    return this.database.getAll("outbox");
  }

  async update(decide: (entries: readonly Entry[]) => Changes): Promise<void> {
    const tx = this.#begin();
    const { put = [], remove = [] } = decide(await tx.store.getAll());
    const requests = [
      ...put.map((entry) => tx.store.put(entry)),
      ...remove.map(({ id }) => tx.store.delete(id)),
    ];
    await Promise.all([...requests, tx.done]);
  }
}

export class MemoryStore implements Store {
  #entries: Entry[] = [];
  #lastId = 0;

  add(entry: NewEntry): Promise<unknown> {
    this.#entries.push({ ...entry, id: ++this.#lastId });
    return Promise.resolve();
  }

  list(): Promise<Entry[]> {
    return Promise.resolve(this.#entries);
  }

  update(decide: (entries: readonly Entry[]) => Changes): Promise<void> {
    const { put = [], remove = [] } = decide(this.#entries);
    const gone = new Set(remove.map(({ id }) => id));
    const changed = new Map(put.map((entry) => [entry.id, entry]));
    this.#entries = this.#entries.filter(({ id }) => !gone.has(id)).map((entry) =>
      changed.get(entry.id) ?? entry
    );
    return Promise.resolve();
  }
}

/** Opens the store of this browser. @throws any if it has no IndexedDB, or does not allow it */
export async function openStore(): Promise<Store> {
  const database = await openDB<Schema>("contactsheet", 1, {
    upgrade: (database) => void database.createObjectStore("outbox", { keyPath: "id", autoIncrement: true }),
  });
  return new DatabaseStore(database);
}
