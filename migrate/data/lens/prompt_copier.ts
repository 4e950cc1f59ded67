/** Reads the prompts of a subtask from JSON text. See JsonCopier. */
import { ValueCopier } from "./value_copier.ts";
import {
  closeBrace,
  closeBracket,
  comma,
  emptyList,
  openBracket,
  promptKeys,
  queues,
  wordMax,
  wordTable,
} from "./fast_subtask_parts.ts";

export class PromptCopier extends ValueCopier {
  /** Whether the name of a prompt selects the queue `lumina`. */
  protected isLumina = false;

  /** Copies the list of prompts. */
  protected prompts(): boolean {
    this.isLumina = false;
    if (this.keep(emptyList)) return true;
    if (!this.keep(openBracket) || !this.#prompt()) return false;
    while (!this.keep(closeBracket)) if (!this.keep(comma) || !this.#prompt()) return false;
    return true;
  }

  #prompt(): boolean {
    if (!this.keep(promptKeys.type)) return false;
    if (this.keep(promptKeys.free)) {
      return this.number() && this.keep(promptKeys.value) && (this.text() || this.number()) &&
        this.keep(closeBrace);
    }
    return this.word(wordTable, wordMax) && this.keep(promptKeys.uuid) && this.text() &&
      this.keep(promptKeys.value) && this.text() && this.keep(promptKeys.name) && this.#name() &&
      this.keep(promptKeys.weight) && this.number() && this.keep(promptKeys.image) && this.text() &&
      this.keep(promptKeys.middle) && this.int32() && this.value === 0 && this.keep(promptKeys.last);
  }

  /** Copies a name, and notes whether it selects the queue `lumina`. */
  #name(): boolean {
    const from = this.at;
    if (!this.text()) return false;
    const { lumina } = queues;
    for (let at = from; at + lumina.length < this.at; at++) {
      let length = 0;
      // Setting this bit makes an ASCII letter lower-case, and no other byte a letter of the word.
      while (length < lumina.length && (this.input[at + length]! | 0x20) === lumina[length]) length++;
      if (length === lumina.length) this.isLumina = true;
    }
    return true;
  }
}
