/**
 * The outbox: what the person has judged is kept in the browser until the server has confirmed it. Entries are sent in
 * their order, one request at a time over all tabs, and again after a failure under the same idempotency key, so that
 * nothing is lost and nothing counts twice.
 *
 * States of an entry: open · taken into a request (`batch`), which may have arrived · refused, until the person drops
 * it · gone, once it is confirmed.
 */
import { effect, signal } from "@preact/signals";
import { isOnline } from "../api/network.ts";
import { asApiError } from "../api/problem.ts";
import { session } from "../api/session.ts";
import { noteUnsent, unsentInBrowser } from "../kit/unsent.ts";
import { deliver } from "./deliver.ts";
import { createId, type Entry, takeNext } from "./entry.ts";
import { type Changes, MemoryStore, openStore, type Store } from "./store.ts";

/** What is not confirmed of the present person, oldest first. */
export const unsent = signal<readonly Entry[]>([]);
/** What the server has refused of the present person. */
export const refused = signal<readonly Entry[]>([]);
/** Returns the present person's entries on a run that the server has not confirmed. */
export const listUnconfirmed = (task: string): readonly Entry[] =>
  [...unsent.peek(), ...refused.peek()].filter((entry) => entry.task === task);
/** Entries are lost when the page is closed. */
export const isVolatile = signal(false);
/** The server asked to wait, or did not answer. */
export const isWaiting = signal(false);

/** Time in which entries gather for one request. */
const gatherMs = 200;
const retrySecondsMax = 30;

const memory = new MemoryStore();
let stores: readonly Store[] = [memory];
const channel = new BroadcastChannel("contactsheet outbox");

/** Returns whose entries are sent now. A share has no user: a short digest of its token tells shares apart. */
function ownerNow(): string | undefined {
  const { value } = session;
  if (value.state === "signed_in") return value.user.id;
  if (value.state !== "shared") return undefined;
  let digest = 0x811c9dc5;
  for (const letter of value.token) digest = Math.imul(digest ^ letter.charCodeAt(0), 0x01000193) >>> 0;
  return `share ${digest.toString(36)}`;
}

/** Reads the entries again, after a change in this or another tab. */
async function refresh(): Promise<void> {
  const lists = await Promise.all(stores.map((store) => store.list()));
  const entries = lists.flat();
  const mine = entries.filter(({ owner }) => owner === ownerNow());
  unsent.value = mine.filter(({ refusal }) => !refusal);
  refused.value = mine.filter(({ refusal }) => refusal);
  noteUnsent(entries.filter(({ refusal }) => !refusal).length, !isVolatile.peek());
}

/** Time in which changes are collected before the entries are read again, because reading delays key presses. */
const refreshMs = 100;
let refreshTimer: number | undefined;

function noteChange(): void {
  refreshTimer ??= setTimeout(() => {
    refreshTimer = undefined;
    channel.postMessage(null);
    void refresh();
  }, refreshMs);
}

/** Marks and returns the entries of the next request, and where they are kept. */
async function take(owner: string): Promise<{ store: Store; taken: readonly Entry[] } | undefined> {
  for (const store of stores) {
    let taken: readonly Entry[] = [];
    await store.update((entries) => {
      taken = takeNext(entries, owner);
      return { put: taken };
    });
    if (taken.length > 0) return { store, taken };
  }
}

/** Applies changes to entries that are still there: another tab may have settled them. */
const settle = (store: Store, { put = [], remove }: Changes): Promise<void> =>
  store.update((entries) => {
    const open = new Set(entries.filter(({ refusal }) => !refusal).map(({ id }) => id));
    return { put: put.filter(({ id }) => open.has(id)), ...(remove ? { remove } : {}) };
  });

/** Sends until nothing is left. @throws ApiError if the rest has to wait */
async function sendAll(): Promise<void> {
  for (let owner = ownerNow(); owner !== undefined; owner = ownerNow()) {
    const next = await take(owner);
    if (!next) return;
    await settle(next.store, await deliver(next.taken));
    failures = 0;
    isWaiting.value = false;
    noteChange();
  }
}

let failures = 0;
let timer: number | undefined;
let isSending = false;
/** Whether something was added while a request was under way. */
let isAskedAgain = false;

/** Schedules sending. A timer that is set already stays, so that frequent keys do not delay it. */
function sendIn(ms: number): void {
  timer ??= setTimeout(sendNow, ms);
}

function sendNow(): void {
  clearTimeout(timer);
  timer = undefined;
  void send();
}

async function send(): Promise<void> {
  if (isSending) {
    isAskedAgain = true;
    return;
  }
  isSending = true;
  isAskedAgain = false;
  let waitMs: number | undefined;
  try {
    // Without locks, which browsers have on https and localhost only, two tabs may send the same request: it has one key.
    if (navigator.locks) await navigator.locks.request("contactsheet outbox", sendAll);
    else await sendAll();
    isWaiting.value = false;
  } catch (caught) {
    isWaiting.value = true;
    const seconds = asApiError(caught).retryAfterSeconds ?? Math.min(retrySecondsMax, 2 ** failures++);
    waitMs = seconds * 1000 * (1 + Math.random() / 4);
  } finally {
    isSending = false;
    if (waitMs !== undefined || isAskedAgain) sendIn(waitMs ?? 0);
  }
}

async function start(): Promise<void> {
  try {
    stores = [await openStore(), memory];
  } catch {
    isVolatile.value = true;
  }
  channel.onmessage = () => {
    void refresh();
    sendIn(gatherMs);
  };
  addEventListener("beforeunload", (event) => {
    if (isVolatile.value && unsentInBrowser.value > 0) event.preventDefault();
  });
  effect(() => {
    // Sends again when the person has signed in, and when the connection is back.
    if (ownerNow() !== undefined && isOnline.value) sendNow();
    void refresh();
  });
  await refresh();
}

let starting: Promise<void> | undefined;

/** Opens the outbox and begins to send what is in it. */
export const startOutbox = (): Promise<void> => (starting ??= start());

/** Keeps an entry and sends it soon. @returns its idempotency key */
export function enqueue(given: Omit<Entry, "id" | "owner" | "key"> & { key?: string }): string {
  const entry = { key: createId(), ...given, owner: ownerNow() ?? "" };
  const keep = async () => {
    if (isVolatile.peek()) return await memory.add(entry);
    try {
      await stores[0]!.add(entry);
    } catch {
      // The disk is full, or the person has deleted the site's data.
      isVolatile.value = true;
      await memory.add(entry);
    }
  };
  void keep().then(noteChange);
  // It counts at once, also for a page that is opened after this one is closed. Reading the entries again replaces it.
  unsent.value = [...unsent.peek(), { ...entry, id: Infinity }];
  noteUnsent(unsentInBrowser.peek() + 1, !isVolatile.peek());
  sendIn(gatherMs);
  return entry.key;
}

/** Forgets what the server has refused. */
export async function dropRefused(): Promise<void> {
  for (const store of stores) {
    await store.update((entries) => ({
      remove: entries.filter(({ refusal, owner }) => refusal && owner === ownerNow()),
    }));
  }
  noteChange();
}
