/** Parts of messages: counts with their nouns, and quoted texts. */

/** Returns the form of a word that fits a count: `one` for 1, otherwise `many`. */
export const inflect = (count: number | bigint, one: string, many: string): string =>
  Number(count) === 1 ? one : many;

/**
 * Returns a count with its noun.
 *
 * @example
 * ```ts
 * import { counted } from "./phrases.ts";
 * const texts = [counted(1, "cell"), counted(0, "cell"), counted(2, "entry", "entries")];
 * if (texts.join() !== "1 cell,0 cells,2 entries") throw new Error("wrong form");
 * ```
 */
export const counted = (count: number | bigint, one: string, many = `${one}s`): string =>
  `${count} ${inflect(count, one, many)}`;

/** Returns a text in quotes, of which it shows at most `lengthMax` characters. Names an empty one. */
export const quoted = (text: string, lengthMax = 500): string =>
  text === "" ? "an empty text" : `'${text.slice(0, lengthMax)}'`;
