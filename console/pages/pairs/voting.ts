/** Voting on pairs of images, with undo. All goes through the outbox. */
import { unwrap, v2 } from "../../api/client.ts";
import { type Card, Deck } from "../../judge/deck.ts";
import { type Shown, toShown } from "../../judge/image.ts";
import { tookMsSince } from "../../judge/entry.ts";
import { enqueue, listUnconfirmed } from "../../judge/outbox.ts";

export interface PairCard extends Card {
  left: Shown;
  right: Shown;
  /** The axis on which they are compared. */
  axis: string | null;
}

export type Outcome = "left" | "right" | "tie" | "skip";
type AxisKey = "v0" | "v1" | "v2" | "v3" | "v4" | "v5";

interface VoteBody {
  left: Pick<Shown, "cell" | "version">;
  right: Pick<Shown, "cell" | "version">;
}

const keyOf = ({ left, right }: VoteBody): string =>
  [left, right].map(({ cell, version }) => `${cell}.${version}`).sort().join();

const refOf = ({ cell, version }: Shown) => ({ cell, version });

export class Voting {
  readonly deck: Deck<PairCard>;
  readonly #judged = new Set<string>();
  readonly #steps: { at: number; key: string; body: VoteBody }[] = [];
  shownAt = performance.now();

  constructor(readonly id: string, readonly axis: string | undefined) {
    this.deck = new Deck({
      read: (n) => this.#read(n),
      readMax: 20,
      isJudged: (key) => this.#judged.has(key),
    });
    for (const { kind, body } of listUnconfirmed(id)) {
      if (kind === "vote") this.#judged.add(keyOf(body as VoteBody));
      if (kind === "withdrawal") this.#judged.delete(keyOf(body as VoteBody));
    }
  }

  async #read(n: number): Promise<PairCard[]> {
    const query = { n, ...(this.axis === undefined ? {} : { axis: this.axis as AxisKey }) };
    const { axis, items } = await unwrap(
      v2.GET("/api/v2/tasks/{id}/pairs/next", { params: { path: { id: this.id }, query } }),
    );
    return items.map((item) => {
      const [left, right] = [toShown(item.left), toShown(item.right)];
      return { key: keyOf({ left, right }), pictures: [left.picture, right.picture], left, right, axis };
    });
  }

  /** Votes on the present pair if both images are visible, and goes on. @returns whether they are */
  vote(outcome: Outcome, blind: boolean): boolean {
    const card = this.deck.current.peek();
    if (!card || card.pictures.some(({ state }) => state.peek() !== "ready")) return false;
    const took_ms = tookMsSince(this.shownAt);
    const body = { left: refOf(card.left), right: refOf(card.right), outcome, blind, took_ms };
    const key = enqueue({ task: this.id, kind: "vote", method: "POST", path: "/votes", body });
    this.#judged.add(card.key);
    const at = this.deck.at.peek();
    this.#steps.push({ at, key, body });
    this.deck.go(at + 1);
    return true;
  }

  /** Takes the last vote of this visit back and shows its pair. @returns whether there was one */
  undo(): boolean {
    const step = this.#steps.pop();
    if (!step) return false;
    const { at, key, body } = step;
    enqueue({ task: this.id, kind: "withdrawal", method: "DELETE", path: "/votes", body, key });
    this.#judged.delete(keyOf(body));
    this.deck.go(at);
    return true;
  }
}
