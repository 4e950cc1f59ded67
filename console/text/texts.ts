/** Texts of a part of the console. Only those of the language in use are loaded. */
import { getLanguage, type Language, onLanguageChange } from "./language.ts";

type Loaders<T> = Record<Language, () => Promise<{ text: T }>>;

/** Texts of one part, in both languages. */
export class Texts<T> {
  readonly #loaders: Loaders<T>;
  readonly #loaded = new Map<Language, T>();

  constructor(loaders: Loaders<T>) {
    this.#loaders = loaders;
    onLanguageChange(async (language) => {
      if (this.#loaded.size > 0) await this.#load(language);
    });
  }

  async #load(language: Language): Promise<void> {
    if (!this.#loaded.has(language)) this.#loaded.set(language, (await this.#loaders[language]()).text);
  }

  /** Loads the texts of the language in use. */
  async load(): Promise<void> {
    await this.#load(getLanguage());
  }

  /** The texts in the language in use. They are loaded before a component that shows them. */
  get value(): T {
    const text = this.#loaded.get(getLanguage());
    if (text === undefined) throw new Error("texts are used before they are loaded");
    return text;
  }
}
