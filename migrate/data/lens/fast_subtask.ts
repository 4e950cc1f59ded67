/**
 * The fast path of subtasks: copies the JSON text of a document of the newest generation directly to a COPY line.
 * Nearly all documents of a large dump have exactly this form, and building a tree of each would cost more than ten
 * times as much. Every deviation (field order, rare escape, number format) is rejected; such documents take the general
 * path. The lens tests compare the results of both paths.
 */
import type { FindParent } from "./subtasks.ts";
import { ascii, code } from "./json_copier.ts";
import {
  closeBrace,
  closeBracket,
  comma,
  extraKeys,
  generation,
  keys,
  lineEnd,
  no,
  nullElement,
  nullWord,
  openBrace,
  openBracket,
  queues,
  quote,
  ratioMax,
  ratioTable,
  resultKeys,
  slotKeys,
  sqlNull,
  states,
  tab,
  wordMax,
  wordTable,
  yes,
} from "./fast_subtask_parts.ts";
import { PromptCopier } from "./prompt_copier.ts";
import type { LineBuffer } from "../tools/line_buffer.ts";
import type { JsonSpan } from "../documents/source.ts";

const uuidLength = 36;
const noParent = ascii("?");
const colon = code(":");
const zero = code("0");
const bracket = code("[");

/** Reports whether a JSON map of words has each key once. */
function hasUniqueKeys(map: Uint8Array): boolean {
  const names = [...new TextDecoder().decode(map).matchAll(/"([\w-]+)":/g)].map(([, name]) => name);
  return new Set(names).size === names.length;
}

/** Copies documents one after the other. */
export class SubtaskCopier extends PromptCopier {
  #findParent: FindParent;
  /** The last accepted parent, as bytes. */
  #parent = noParent;
  /** The last accepted maps. A dump has few different ones. */
  readonly #maps = [ascii("?"), ascii("?")];
  /** The given slots of `variable_indices`, and whether they are fields of an object. */
  #slots: (number | null)[] = [];
  #isObject = false;
  #isTerminal = false;
  /** Offset of `result.url`, or -1. */
  #urlAt = -1;
  /** Offsets of the written seed, which was a double. */
  #seedFrom = 0;
  #seedTo = 0;

  constructor(findParent: FindParent) {
    super();
    this.#findParent = findParent;
  }

  findParentsWith(findParent: FindParent): void {
    this.#findParent = findParent;
    this.#parent = noParent;
  }

  /**
   * Adds the line of a document in the accepted form whose task is known. Returns false, and adds nothing, for any
   * other. Text of the accepted form is valid JSON and valid UTF-8.
   */
  add(json: JsonSpan, lines: LineBuffer): boolean {
    this.begin(json, lines);
    if (
      !this.#ids() || !this.#axes() || !this.#outcome() || !this.#column(keys.prompts) || !this.prompts() ||
      !this.#rest()
    ) return false;
    lines.length = this.outAt;
    return true;
  }

  #column(key: Uint8Array): boolean {
    this.write(tab);
    return this.skip(key);
  }

  /** Skips `null` and writes an SQL null. */
  #null(): boolean {
    if (!this.skip(nullWord)) return false;
    this.write(sqlNull);
    return true;
  }

  #ids(): boolean {
    if (!this.skip(keys.objectId)) return false;
    const objectId = this.at;
    if (!this.skipHex(24) || !this.skip(keys.id)) return false;
    const id = this.at;
    if (!this.skipUuid() || !this.skip(keys.parent)) return false;
    const parent = this.at;
    if (!this.skipUuid() || !this.#hasParent(parent)) return false;
    this.writeInput(parent, parent + uuidLength);
    this.write(tab);
    this.writeInput(id, id + uuidLength);
    this.write(tab);
    this.writeInput(objectId, objectId + 24);
    return true;
  }

  #hasParent(at: number): boolean {
    this.at = at;
    if (this.skip(this.#parent)) return true;
    this.at = at + uuidLength;
    const bytes = this.input.slice(at, this.at);
    const name = new TextDecoder().decode(bytes);
    if (this.#findParent(name) !== name) return false;
    this.#parent = bytes;
    return true;
  }

  #axes(): boolean {
    if (!this.#column(keys.indices)) return false;
    this.#slots = [];
    this.#isObject = this.input[this.at] !== bracket;
    return (this.#isObject ? this.#slotObject() : this.#slotList()) &&
      this.#column(keys.types) && this.#map(0) && this.#column(keys.reverse) && this.#map(1);
  }

  /** Copies an index or null as an element of an array. */
  #slot(): boolean {
    if (this.skip(nullWord)) {
      this.write(nullElement);
      this.#slots.push(null);
      return true;
    }
    if (!this.int32()) return false;
    this.#slots.push(this.value);
    return true;
  }

  #slotList(): boolean {
    if (!this.skip(openBracket)) return false;
    this.write(openBrace);
    while (!this.skip(closeBracket)) {
      if (this.#slots.length > 0 && !this.keep(comma)) return false;
      if (!this.#slot()) return false;
    }
    this.write(closeBrace);
    return true;
  }

  /** Copies `{"v0":…,"v1":…}`, any number of slots in order, as an array of six elements. */
  #slotObject(): boolean {
    if (!this.keep(openBrace)) return false;
    while (!this.skip(closeBrace)) {
      const number = this.#slots.length;
      if (number === slotKeys.length || number > 0 && !this.keep(comma)) return false;
      if (!this.skip(slotKeys[number]!) || !this.#slot()) return false;
    }
    for (let i = this.#slots.length; i < slotKeys.length; i++) {
      if (i > 0) this.write(comma);
      this.write(nullElement);
    }
    this.write(closeBrace);
    return true;
  }

  /** Copies a map of words to words. */
  #map(number: number): boolean {
    if (this.keep(this.#maps[number]!)) return true;
    const from = this.at;
    if (!this.keep(openBrace)) return false;
    for (let count = 0; !this.keep(closeBrace); count++) {
      if (count > 0 && !this.keep(comma)) return false;
      if (!this.#quotedWord() || this.input[this.at++] !== colon) return false;
      this.output[this.outAt++] = colon;
      if (!this.#quotedWord()) return false;
    }
    const map = this.input.slice(from, this.at);
    if (!hasUniqueKeys(map)) return false;
    this.#maps[number] = map;
    return true;
  }

  #quotedWord(): boolean {
    return this.keep(quote) && this.word(wordTable, wordMax) && this.keep(quote);
  }

  #outcome(): boolean {
    if (!this.#column(keys.status)) return false;
    const state = states.find(({ quoted }) => this.skip(quoted));
    if (!state) return false;
    this.#isTerminal = state.isTerminal;
    this.write(state.word);
    this.#urlAt = -1;
    return this.#column(keys.result) && (this.#null() || this.#result()) &&
      this.#column(keys.error) && (this.#null() || this.#plainText()) &&
      this.#column(keys.retries) && this.int32();
  }

  #result(): boolean {
    if (!this.keep(resultKeys.url)) return false;
    this.#urlAt = this.at;
    return this.text() && this.keep(resultKeys.width) && this.number() && this.keep(resultKeys.height) &&
      this.number() && this.keep(resultKeys.seed) && (this.keep(nullWord) || this.number()) &&
      this.keep(resultKeys.created) && this.text() && this.keep(closeBrace);
  }

  #plainText(): boolean {
    const { at, outAt } = this;
    if (!this.text()) return false;
    this.outAt = outAt;
    this.writeText(at);
    return true;
  }

  #rest(): boolean {
    if (!this.#column(keys.ratio) || !this.word(ratioTable, ratioMax)) return false;
    if (!this.#column(keys.seed) || !this.#seed() || !this.#column(keys.polish)) return false;
    const flag = this.skip(yes.word) ? yes.flag : this.skip(no.word) ? no.flag : undefined;
    if (!flag) return false;
    this.write(flag);
    if (!this.#column(keys.created) || !this.time() || !this.#column(keys.updated)) return false;
    const updatedFrom = this.outAt;
    if (!this.time()) return false;
    const updatedTo = this.outAt;
    if (!this.skip(closeBrace) || this.at !== this.end) return false;
    this.write(tab);
    if (this.#urlAt < 0) this.write(sqlNull);
    else this.writeText(this.#urlAt);
    this.write(tab);
    this.write(this.isLumina ? queues.lumina : queues.standard);
    this.write(tab);
    if (this.#isTerminal) this.write(this.output.subarray(updatedFrom, updatedTo));
    else this.write(sqlNull);
    this.write(tab);
    this.write(generation);
    this.write(tab);
    this.#extra();
    this.write(lineEnd);
    return true;
  }

  /** Copies a whole seed of any type. */
  #seed(): boolean {
    this.#seedFrom = this.outAt;
    this.#seedTo = this.outAt;
    if (this.#null()) return true;
    if (!this.number()) return false;
    if (this.fractionDigits === 0) return true;
    if (this.fractionDigits > 1 || this.output[this.outAt - 1] !== zero) return false;
    this.outAt -= extraKeys.pointZero.length;
    this.#seedTo = this.outAt;
    return true;
  }

  /** Writes the column `extra`: slots that were an object, and a seed that was a double. */
  #extra(): void {
    const hasSeed = this.#seedTo > this.#seedFrom;
    if (!this.#isObject && !hasSeed) return this.write(sqlNull);
    this.write(openBrace);
    if (this.#isObject) {
      const slots = this.#slots.map((slot, i) => `"v${i}":${slot}`);
      this.write(extraKeys.indices);
      this.write(ascii(`{${slots.join()}}`));
      if (hasSeed) this.write(comma);
    }
    if (hasSeed) {
      this.write(extraKeys.seed);
      this.write(this.output.subarray(this.#seedFrom, this.#seedTo));
      this.write(extraKeys.pointZero);
    }
    this.write(closeBrace);
  }
}
