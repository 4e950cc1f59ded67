/** Which cells are selected, and the one that the keyboard is on. */
import { signal } from "@preact/signals";
import { type Area, areaBetween, type Layout, listCells, type Place } from "./geometry.ts";

/** How a choice changes the selection. */
export type Change = "replace" | "add" | "toggle";

export class Selection {
  readonly cells = signal<ReadonlySet<number>>(new Set());
  readonly active = signal<Place | undefined>(undefined);
  /** The area that the pointer is being dragged over. */
  readonly dragged = signal<Area | undefined>(undefined);
  /** Where a range starts. */
  #anchor: Place | undefined;

  clear(): void {
    if (this.cells.value.size > 0) this.cells.value = new Set();
  }

  choose(cells: readonly number[], change: Change): void {
    const next = new Set(change === "replace" ? [] : this.cells.value);
    for (const cell of cells) {
      if (change === "toggle" && next.has(cell)) next.delete(cell);
      else next.add(cell);
    }
    this.cells.value = next;
  }

  /** Moves to a place. @param isRange selects all from where the range starts to it */
  move(layout: Layout, place: Place, isRange: boolean): void {
    if (isRange) {
      this.#anchor ??= this.active.value ?? place;
      this.choose(listCells(layout, areaBetween(this.#anchor, place)), "replace");
    } else this.#anchor = place;
    this.active.value = place;
  }

  /** Forgets places, which mean other cells in another layout. The selected cells stay. */
  forgetPlaces(): void {
    this.#anchor = undefined;
    this.active.value = undefined;
  }
}
