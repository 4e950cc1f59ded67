/** Rating image after image: marks of this visit, with undo. All goes through the outbox. */
import { effect, signal } from "@preact/signals";
import { unwrap, v2 } from "../../api/client.ts";
import { type Card, Deck } from "../../judge/deck.ts";
import { type Shown, toShown } from "../../judge/image.ts";
import { tookMsSince } from "../../judge/entry.ts";
import { enqueue, listUnconfirmed } from "../../judge/outbox.ts";

/** What a person has said about an image: stars, or why there are none. */
export interface Mark {
  stars?: number;
  skipped?: string;
}

export interface ImageCard extends Card, Shown {
  /** Whether its values were visible at any time. */
  wasOpen: boolean;
}

interface Step {
  at: number;
  before: Mark | undefined;
}

export class Rating {
  readonly deck: Deck<ImageCard>;
  /** Marks by cell. */
  readonly marks = signal<ReadonlyMap<number, Mark>>(new Map());
  readonly favourites = signal<ReadonlySet<number>>(new Set());
  readonly #steps: Step[] = [];
  /** Since when the present image is visible. */
  #shownAt = 0;

  constructor(readonly id: string) {
    this.deck = new Deck({
      read: (n) => this.#read(n),
      readMax: 50,
      isJudged: (key) => this.marks.peek().has(Number(key)),
    });
  }

  async #read(n: number): Promise<ImageCard[]> {
    const { items } = await unwrap(
      v2.GET("/api/v2/tasks/{id}/queue/next", { params: { path: { id: this.id }, query: { n } } }),
    );
    // A page before this one may have left ratings that are not sent yet.
    const judged = listUnconfirmed(this.id).filter(({ kind }) => kind === "rating");
    const cells = new Set(judged.map(({ body }) => (body as { cell: number }).cell));
    return items.filter(({ cell }) => !cells.has(cell)).map((item) => {
      const shown = toShown(item);
      return { ...shown, key: String(item.cell), pictures: [shown.picture], wasOpen: false };
    });
  }

  /** Notes when an image appears, and whether its values do. @returns ends it */
  follow(isBlind: () => boolean): () => void {
    const stops = [
      effect(() => {
        const card = this.deck.current.value;
        if (card?.picture.state.value === "ready") this.#shownAt = performance.now();
      }),
      effect(() => {
        const card = this.deck.current.value;
        if (card?.at && !isBlind()) card.wasOpen = true;
      }),
    ];
    return () => stops.forEach((stop) => stop());
  }

  /** The present image, if it is visible: nobody judges what is not on the screen. */
  get visible(): ImageCard | undefined {
    const card = this.deck.current.peek();
    return card?.picture.state.peek() === "ready" ? card : undefined;
  }

  #put({ cell, version, wasOpen }: ImageCard, mark: Mark | undefined, more: { took_ms?: number } = {}): void {
    const marks = new Map(this.marks.peek());
    if (mark) marks.set(cell, mark);
    else marks.delete(cell);
    this.marks.value = marks;
    const body = { cell, version, ...mark ?? { cleared: true }, blind: !wasOpen, ...more };
    enqueue({ task: this.id, kind: "rating", method: "POST", path: "/ratings", body });
  }

  /** Marks the present image and goes on. */
  mark(card: ImageCard, mark: Mark): void {
    const at = this.deck.at.peek();
    this.#steps.push({ at, before: this.marks.peek().get(card.cell) });
    this.#put(card, mark, { took_ms: tookMsSince(this.#shownAt) });
    this.deck.go(at + 1);
  }

  /** Deletes one's rating of the present image. */
  clear(): void {
    const card = this.deck.current.peek();
    const before = card && this.marks.peek().get(card.cell);
    if (!before) return;
    this.#steps.push({ at: this.deck.at.peek(), before });
    this.#put(card, undefined);
  }

  /** Takes the last mark back and shows its image. @returns whether there was one */
  undo(): boolean {
    const step = this.#steps.pop();
    if (!step) return false;
    this.#put(this.deck.cards.peek()[step.at]!, step.before);
    this.deck.go(step.at);
    return true;
  }

  /** Reads which cells are favourites of the person. */
  async readFavourites(): Promise<void> {
    const found = new Set<number>();
    let cursor: string | undefined;
    do {
      const query = { limit: 100, ...(cursor === undefined ? {} : { cursor }) };
      const page = await unwrap(
        v2.GET("/api/v2/tasks/{id}/favourites", { params: { path: { id: this.id }, query } }),
      );
      page.items.forEach(({ cell }) => found.add(cell));
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    this.favourites.value = found;
  }

  toggleFavourite(): void {
    const card = this.deck.current.peek();
    if (!card) return;
    const favourites = new Set(this.favourites.peek());
    const isOn = favourites.delete(card.cell);
    if (!isOn) favourites.add(card.cell);
    this.favourites.value = favourites;
    this.#enqueueMark(card, isOn ? "DELETE" : "PUT", "favourite");
  }

  tag(card: ImageCard, tag: string, isOn: boolean): void {
    this.#enqueueMark(card, isOn ? "PUT" : "DELETE", `tags/${encodeURIComponent(tag)}`);
  }

  evaluate(card: ImageCard, text: string): void {
    const { cell, version } = card;
    const path = `/cells/${cell}/evaluations`;
    enqueue({ task: this.id, kind: "text", method: "POST", path, body: { text, version } });
  }

  #enqueueMark({ cell }: ImageCard, method: "PUT" | "DELETE", what: string): void {
    enqueue({ task: this.id, kind: "mark", method, path: `/cells/${cell}/${what}` });
  }
}
