/**
 * The window onto the matrix. While it is scrolled, it only draws; images, names of cells and their details follow when
 * it has rested.
 *
 * States: `moving` from each scroll on, `resting` after {@link restMs}. Entering `resting` asks for what is visible.
 */
import { signal } from "@preact/signals";
import { isAbort } from "../api/problem.ts";
import type { Area, Place } from "./geometry.ts";
import { looksLike, Painter, type Scene } from "./painter.ts";

const restMs = 80;

/** Heights and widths of the labels in CSS pixels. */
export interface Labels {
  left: number;
  top: number;
  /** Whether the labels of the columns stand upright. */
  isUpright: boolean;
}

const emptyArea: Area = { rowFrom: 0, rowTo: 0, columnFrom: 0, columnTo: 0 };

const isSame = (a: Area, b: Area) =>
  a.rowFrom === b.rowFrom && a.rowTo === b.rowTo && a.columnFrom === b.columnFrom &&
  a.columnTo === b.columnTo;

/** Elements that the view moves and draws on. */
export interface ViewElements {
  scroller: HTMLElement;
  canvas: HTMLCanvasElement;
  /** Moved with the columns. */
  columns: HTMLElement;
  /** Moved with the rows. */
  rows: HTMLElement;
  /** Moved with both. */
  cells: HTMLElement;
}

export class MatrixView {
  /** Visible cells, one more on each side. */
  readonly area = signal<Area>(emptyArea);
  /** Visible cells when the view last rested. */
  readonly rested = signal<Area>(emptyArea);
  /** Grows when names of cells may have changed while the view rests. */
  readonly changes = signal(0);
  #elements: ViewElements | undefined;
  #painter: Painter | undefined;
  #scene: Scene | undefined;
  #labels: Labels = { left: 0, top: 0, isUpright: false };
  #frame = 0;
  #timer: number | undefined;
  #reading: AbortController | undefined;

  /** @param onRest called when the view rests @param onFailure called when details could not be read */
  constructor(readonly onRest: () => void, readonly onFailure: (error: unknown) => void) {}

  attach(elements: ViewElements): () => void {
    this.#elements = elements;
    this.#painter = new Painter(elements.canvas);
    const observer = new ResizeObserver(() => this.#onScroll());
    observer.observe(elements.scroller);
    elements.scroller.addEventListener("scroll", this.#onScroll, { passive: true });
    return () => {
      observer.disconnect();
      elements.scroller.removeEventListener("scroll", this.#onScroll);
      cancelAnimationFrame(this.#frame);
      clearTimeout(this.#timer);
      this.#reading?.abort();
      this.#elements = undefined;
    };
  }

  /** Shows a scene from the next frame on. */
  show(scene: Scene, labels: Labels): void {
    const before = this.#scene;
    this.#scene = scene;
    this.#labels = labels;
    this.requestFrame();
    const isMoved = before?.layout !== scene.layout || before.size !== scene.size ||
      before.lens !== scene.lens;
    if (isMoved) this.#restSoon();
  }

  /** Draws again, because cells have changed, and asks for what is new. */
  refresh(): void {
    this.requestFrame();
    this.#timer ??= setTimeout(() => this.#rest(), restMs);
  }

  forgetColours(): void {
    this.#painter?.forgetColours();
    this.requestFrame();
  }

  requestFrame(): void {
    this.#frame ||= requestAnimationFrame(() => this.#paint());
  }

  readonly #onScroll = () => {
    this.requestFrame();
    this.#restSoon();
  };

  #restSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#rest(), restMs);
  }

  /** Position and size of the visible part, without the labels. */
  get viewport(): { left: number; top: number; width: number; height: number } {
    const { scroller } = this.#elements!;
    const { left, top } = this.#labels;
    return {
      left: scroller.scrollLeft,
      top: scroller.scrollTop,
      width: Math.max(0, scroller.clientWidth - left),
      height: Math.max(0, scroller.clientHeight - top),
    };
  }

  /** The first cell that is visible. */
  get start(): Place {
    const { rowFrom, columnFrom } = this.#visible();
    return { row: rowFrom, column: columnFrom };
  }

  #visible(): Area {
    const { layout, size } = this.#scene!;
    const { left, top, width, height } = this.viewport;
    return {
      rowFrom: Math.min(layout.rows, Math.floor(top / size)),
      rowTo: Math.min(layout.rows, Math.ceil((top + height) / size)),
      columnFrom: Math.min(layout.columns, Math.floor(left / size)),
      columnTo: Math.min(layout.columns, Math.ceil((left + width) / size)),
    };
  }

  #paint(): void {
    this.#frame = 0;
    const [scene, elements, painter] = [this.#scene, this.#elements, this.#painter];
    if (!scene || !elements || !painter) return;
    const { left, top, width, height } = this.viewport;
    const area = this.#visible();
    if (!isSame(area, this.area.peek())) {
      this.area.value = area;
      scene.images.keep((cell) => {
        const place = scene.layout.placeOf(cell);
        return place !== undefined && contains(area, place);
      });
    }
    elements.columns.style.transform = `translateX(${-left}px)`;
    elements.rows.style.transform = `translateY(${-top}px)`;
    elements.cells.style.transform = `translate(${-left}px, ${-top}px)`;
    painter.resize(width, height);
    painter.paint(scene, area, left, top);
  }

  /** Asks for the details and images of the visible cells, those in the middle first. */
  #rest(): void {
    this.#timer = undefined;
    const scene = this.#scene;
    if (!scene || !this.#elements) return;
    const area = this.#visible();
    this.rested.value = area;
    this.changes.value++;
    this.onRest();
    this.#reading?.abort();
    if (scene.lens !== "image") return scene.images.want([], scene.size);
    const cells = listFromMiddle(scene, area).filter((cell) => scene.cells.stateOf(cell) === "completed");
    this.#wantImages(scene, cells);
    this.#reading = new AbortController();
    scene.cells.readInfos(cells, this.#reading.signal).catch((error) => {
      if (!isAbort(error)) this.onFailure(error);
    });
  }

  #wantImages(scene: Scene, cells: readonly number[]): void {
    const edge = scene.size * Math.min(2, devicePixelRatio);
    const wanted = cells.flatMap((cell) => {
      const url = scene.cells.imageOf(cell, edge);
      return url === undefined ? [] : [{ cell, url }];
    });
    scene.images.want(wanted, edge);
  }

  /** Returns the place at a point of the window, undefined beside the cells. */
  placeAt(clientX: number, clientY: number): Place | undefined {
    const [scene, elements] = [this.#scene, this.#elements];
    if (!scene || !elements) return undefined;
    const box = elements.canvas.getBoundingClientRect();
    const { left, top } = this.viewport;
    const column = Math.floor((clientX - box.left + left) / scene.size);
    const row = Math.floor((clientY - box.top + top) / scene.size);
    const isInside = row >= 0 && column >= 0 && row < scene.layout.rows && column < scene.layout.columns;
    return isInside && scene.layout.cellAt(row, column) >= 0 ? { row, column } : undefined;
  }

  /** Scrolls just as far as needed to show a place whole. */
  reveal({ row, column }: Place): void {
    const [scene, elements] = [this.#scene, this.#elements];
    if (!scene || !elements) return;
    const { left, top, width, height } = this.viewport;
    const into = (at: number, from: number, length: number) =>
      at < from ? at : at + scene.size > from + length ? at + scene.size - length : from;
    elements.scroller.scrollTo(into(column * scene.size, left, width), into(row * scene.size, top, height));
  }

  /** Scrolls so that a place, which may be between cells, is in the middle or, by default, at the start. */
  scrollTo({ row, column }: Place, isCentred = false): void {
    const [scene, elements] = [this.#scene, this.#elements];
    if (!scene || !elements) return;
    const { width, height } = this.viewport;
    const [dx, dy] = isCentred ? [width / 2, height / 2] : [0, 0];
    elements.scroller.scrollTo(column * scene.size - dx, row * scene.size - dy);
  }

  /** Look of a cell, for its name. */
  lookOf(cell: number) {
    const { cells, images } = this.#scene!;
    return looksLike(cells, images, cell);
  }
}

export const contains = ({ rowFrom, rowTo, columnFrom, columnTo }: Area, { row, column }: Place): boolean =>
  row >= rowFrom && row < rowTo && column >= columnFrom && column < columnTo;

/** Lists the cells of an area, those in its middle first. */
function listFromMiddle({ layout }: Scene, { rowFrom, rowTo, columnFrom, columnTo }: Area): number[] {
  const middle = [(rowFrom + rowTo - 1) / 2, (columnFrom + columnTo - 1) / 2] as const;
  const found: { cell: number; distance: number }[] = [];
  for (let row = rowFrom; row < rowTo; row++) {
    for (let column = columnFrom; column < columnTo; column++) {
      const cell = layout.cellAt(row, column);
      if (cell >= 0) found.push({ cell, distance: Math.hypot(row - middle[0], column - middle[1]) });
    }
  }
  return found.sort((a, b) => a.distance - b.distance).map(({ cell }) => cell);
}
