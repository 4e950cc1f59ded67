/** The number of judgements that are not sent yet, for pages that do not load the outbox. */
import { signal } from "@preact/signals";
import { readPreference, writePreference } from "../text/language.ts";

const storageKey = "contactsheet unsent";

/** Number of entries of all people that this browser keeps. */
export const unsentInBrowser = signal(Number(readPreference(storageKey)) || 0);

/** Sets the number. It is stored for the next visit if the entries are stored, too. */
export function noteUnsent(count: number, isKept: boolean): void {
  unsentInBrowser.value = count;
  writePreference(storageKey, isKept && count > 0 ? String(count) : undefined);
}
