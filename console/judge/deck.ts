/** What is to be judged, in order: read ahead from the server, with the next images decoded. */
import { batch, computed, signal } from "@preact/signals";
import { type ApiError, asApiError } from "../api/problem.ts";
import type { Picture } from "./pictures.ts";

/** Something to judge: an image or a pair of images. */
export interface Card {
  /** Equal for the same images. */
  key: string;
  pictures: readonly Picture[];
}

interface DeckOptions<T extends Card> {
  /** Reads what to judge next. It contains what the person has not judged yet, as far as the server knows. */
  read: (count: number) => Promise<T[]>;
  /** Maximum number of cards that the server returns. */
  readMax: number;
  /** Whether the person has judged a card, confirmed or not. */
  isJudged: (key: string) => boolean;
}

const retryMs = 3_000;
/** Images that are decoded ahead. */
const decodedMax = 8;
/** Cards before the present one whose images are kept. */
const keptBehind = 12;

export class Deck<T extends Card> {
  readonly cards = signal<readonly T[]>([]);
  readonly at = signal(0);
  readonly current = computed(() => this.cards.value[this.at.value]);
  readonly failure = signal<ApiError | undefined>(undefined);
  /** The server has nothing more at present. */
  readonly isExhausted = signal(false);
  /** The page was left. */
  isLeft = false;
  #isReading = false;

  constructor(readonly options: DeckOptions<T>) {}

  /** Number of cards from the present one to the last. */
  get ahead(): number {
    return this.cards.value.length - this.at.value;
  }

  /** Makes another card the present one. The position after the last card means that none is left. */
  go(at: number): void {
    this.at.value = Math.min(this.cards.value.length, Math.max(0, at));
    this.#prepare();
    if (this.ahead === 0 || this.ahead < this.options.readMax / 2 && !this.isExhausted.value) {
      void this.fill();
    }
  }

  /** Reads further cards. */
  async fill(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      const { read, readMax, isJudged } = this.options;
      const found = await read(Math.min(readMax, this.ahead + readMax / 2));
      const known = new Set(this.cards.value.slice(this.at.value).map(({ key }) => key));
      const open = found.filter(({ key }) => !known.has(key) && !isJudged(key));
      // Cards that were passed without a judgement are offered again when nothing else is left.
      const passed = new Set(this.cards.value.map(({ key }) => key));
      const fresh = open.filter(({ key }) => !passed.has(key));
      const added = fresh.length > 0 || this.ahead > 0 ? fresh : open;
      batch(() => {
        this.failure.value = undefined;
        this.cards.value = [...this.cards.value, ...added];
        this.isExhausted.value = added.length === 0;
      });
      this.#prepare();
    } catch (error) {
      const failure = asApiError(error);
      this.failure.value = failure;
      // The server is busy or cannot be reached: it is asked again as long as the page is open.
      const isPassing = failure.status === 0 || failure.status === 429 || failure.status >= 500;
      if (isPassing && !this.isLeft) setTimeout(() => this.refill(), retryMs);
    } finally {
      this.#isReading = false;
    }
  }

  /** Reads again after a failure, or where there was nothing more. */
  refill(): void {
    if (this.isExhausted.value || this.failure.value) void this.fill();
  }

  /** Loads the next images, the nearest first. */
  #prepare(): void {
    let decoded = 0;
    for (const { pictures } of this.cards.value.slice(this.at.value)) {
      if (decoded > decodedMax) break;
      for (const picture of pictures) picture.load();
      decoded += pictures.length;
    }
    this.cards.value[this.at.value - keptBehind]?.pictures.forEach((picture) => picture.release());
  }
}
