/** The language of the page: Chinese or English, by the browser's setting until the person chooses. */
import { signal } from "@preact/signals";

export const languages = ["en", "zh"] as const;
export type Language = (typeof languages)[number];

const storageKey = "contactsheet language";

/** Reads a preference. Storage may be switched off; then nothing is remembered. */
export function readPreference(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

/** Stores a preference, or removes it. */
export function writePreference(key: string, value: string | undefined): void {
  try {
    if (value === undefined) localStorage.removeItem(key);
    else localStorage.setItem(key, value);
  } catch {
    // The choice holds until the page is closed.
  }
}

/** Prefix of the keys under which drafts are stored. */
export const draftPrefix = "contactsheet draft ";

/** Removes all drafts from the browser. */
export function removeDrafts(): void {
  try {
    for (const key of Object.keys(localStorage)) {
      if (key.startsWith(draftPrefix)) localStorage.removeItem(key);
    }
  } catch {
    // Storage is switched off: there is no draft.
  }
}

function chooseLanguage(): Language {
  const stored = readPreference(storageKey);
  const wanted = [stored ?? "", ...navigator.languages].map((tag) => tag.slice(0, 2).toLowerCase());
  return languages.find((one) =>
    one === wanted.find((tag) => (languages as readonly string[]).includes(tag))
  ) ??
    "en";
}

const chosen = signal(chooseLanguage());

/** Returns the language in use. Components that read it are drawn again when it changes. */
export const getLanguage = (): Language => chosen.value;

/** Returns the BCP 47 tag for numbers and dates: the browser's own of this language, such as `en-GB`. */
export const getLocale = (): string =>
  navigator.languages.find((tag) => tag.toLowerCase().startsWith(chosen.value)) ??
    (chosen.value === "zh" ? "zh-CN" : "en");

/** Loads the texts of a language. */
type Load = (language: Language) => Promise<void>;
const loads: Load[] = [];

/** Registers texts, which must be there before the page changes to another language. */
export const onLanguageChange = (load: Load): void => void loads.push(load);

function applyLanguage(): void {
  document.documentElement.lang = chosen.value === "zh" ? "zh-CN" : "en";
}

/** Changes the language once its texts are there. */
export async function setLanguage(language: Language): Promise<void> {
  await Promise.all(loads.map((load) => load(language)));
  chosen.value = language;
  writePreference(storageKey, language);
  applyLanguage();
}

applyLanguage();
