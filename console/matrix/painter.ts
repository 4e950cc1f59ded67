/** Draws the visible part of the matrix onto a canvas. */
import type { State } from "../kit/status.tsx";
import type { Cells } from "./cells.ts";
import type { Area, Layout, Place } from "./geometry.ts";
import type { ImageLoader } from "./images.ts";
import { Palette } from "./palette.ts";
import { Sprites } from "./sprites.ts";
import { formatFixed } from "../text/format.ts";

export const lenses = ["image", "status", "rating", "spread"] as const;
export type Lens = (typeof lenses)[number];

/** What is drawn. */
export interface Scene {
  layout: Layout;
  cells: Cells;
  images: ImageLoader;
  lens: Lens;
  /** Edge of a cell in CSS pixels. */
  size: number;
  selection: ReadonlySet<number>;
  active: Place | undefined;
  /** The area that is being dragged over. */
  dragged: Area | undefined;
}

/** Edge in CSS pixels from which a rating is written onto an image. */
const badgeFrom = 72;

/** Returns the state that a cell looks like: a completed one whose image does not load looks expired. */
export function looksLike(cells: Cells, images: ImageLoader, cell: number): State | undefined {
  const state = cells.stateOf(cell);
  if (state !== "completed") return state;
  const info = cells.infoOf(cell);
  return images.hasFailed(cell, info?.url ?? null) || images.hasFailed(cell, info?.thumbnail ?? null)
    ? "expired"
    : state;
}

export class Painter {
  readonly #context: CanvasRenderingContext2D;
  #sprites: Sprites | undefined;
  #ratio = 1;

  constructor(readonly canvas: HTMLCanvasElement) {
    this.#context = canvas.getContext("2d", { alpha: false })!;
  }

  /** Sets the size in CSS pixels. */
  resize(width: number, height: number): void {
    this.#ratio = Math.min(2, devicePixelRatio);
    const [w, h] = [Math.round(width * this.#ratio), Math.round(height * this.#ratio)];
    if (this.canvas.width === w && this.canvas.height === h) return;
    this.canvas.width = w;
    this.canvas.height = h;
  }

  /** Reads the colours again, after a change of the theme. */
  forgetColours(): void {
    this.#sprites = undefined;
  }

  #spritesFor(edge: number): Sprites {
    if (this.#sprites?.edge !== edge || this.#sprites.ratio !== this.#ratio) {
      const palette = this.#sprites?.palette ?? new Palette(this.canvas.parentElement!);
      this.#sprites = new Sprites(palette, edge, this.#ratio);
    }
    return this.#sprites;
  }

  /** Draws an area. @param left and top: position of the canvas in the matrix, in CSS pixels */
  paint(scene: Scene, { rowFrom, rowTo, columnFrom, columnTo }: Area, left: number, top: number): void {
    const ratio = this.#ratio;
    const step = scene.size * ratio;
    const gap = Math.max(1, Math.round(ratio * (scene.size >= 96 ? 2 : 1)));
    const edge = Math.round(step) - gap;
    const sprites = this.#spritesFor(edge);
    const context = this.#context;
    context.fillStyle = sprites.palette.css("ground");
    context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    for (let row = rowFrom; row < rowTo; row++) {
      const y = Math.round(row * step - top * ratio);
      for (let column = columnFrom; column < columnTo; column++) {
        const cell = scene.layout.cellAt(row, column);
        if (cell < 0) continue;
        const x = Math.round(column * step - left * ratio);
        this.#paintCell(scene, sprites, cell, x, y);
        if (scene.selection.has(cell)) this.#paintSelected(sprites, x, y);
      }
    }
    this.#paintFrames(scene, sprites, left, top);
  }

  #paintCell(
    { cells, images, lens, size }: Scene,
    sprites: Sprites,
    cell: number,
    x: number,
    y: number,
  ): void {
    const state = cells.stateOf(cell);
    if (state === undefined) return;
    const context = this.#context;
    if (state !== "completed") return context.drawImage(sprites.state(state), x, y);
    if (lens === "status") return context.drawImage(sprites.state(looksLike(cells, images, cell)!), x, y);
    const value = lens === "spread" ? cells.spreadOf(cell) : cells.ratingOf(cell);
    if (lens === "rating" || lens === "spread") {
      const sprite = value === 0
        ? sprites.blank()
        : lens === "rating"
        ? sprites.rating(value)
        : sprites.spread(value);
      return context.drawImage(sprite, x, y);
    }
    const bitmap = images.bitmapOf(cell);
    if (bitmap) this.#paintImage(sprites, bitmap, x, y);
    else {context.drawImage(
        looksLike(cells, images, cell) === "expired" ? sprites.state("expired") : sprites.blank(),
        x,
        y,
      );}
    if (value > 0 && size >= badgeFrom) this.#paintBadge(sprites, value, x, y);
  }

  #paintImage(sprites: Sprites, bitmap: ImageBitmap, x: number, y: number): void {
    const { edge } = sprites;
    const scale = edge / Math.max(bitmap.width, bitmap.height);
    const [width, height] = [bitmap.width * scale, bitmap.height * scale];
    if (width < edge || height < edge) this.#context.drawImage(sprites.blank(), x, y);
    this.#context.drawImage(bitmap, x + (edge - width) / 2, y + (edge - height) / 2, width, height);
  }

  #paintBadge({ edge, palette }: Sprites, tenths: number, x: number, y: number): void {
    const context = this.#context;
    const [width, height] = [30 * this.#ratio, 18 * this.#ratio];
    context.fillStyle = "#000000b8";
    context.fillRect(x + edge - width, y + edge - height, width, height);
    context.fillStyle = palette.css("accent");
    context.font = `600 ${12 * this.#ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(formatFixed(tenths / 10, 1), x + edge - width / 2, y + edge - height / 2);
  }

  /** A selected cell has a frame and a corner with a tick. */
  #paintSelected({ edge, palette }: Sprites, x: number, y: number): void {
    const context = this.#context;
    const line = 3 * this.#ratio;
    context.strokeStyle = context.fillStyle = palette.css("accent");
    context.lineWidth = line;
    context.strokeRect(x + line / 2, y + line / 2, edge - line, edge - line);
    const corner = Math.min(18 * this.#ratio, edge / 2);
    context.fillRect(x, y, corner, corner);
    context.strokeStyle = palette.css("on-accent");
    context.lineWidth = corner / 9;
    context.beginPath();
    context.moveTo(x + corner * 0.25, y + corner * 0.55);
    context.lineTo(x + corner * 0.45, y + corner * 0.75);
    context.lineTo(x + corner * 0.8, y + corner * 0.3);
    context.stroke();
  }

  /** The frames of the active cell and of the area that is being dragged over. */
  #paintFrames(
    { active, dragged, size }: Scene,
    { palette, edge }: Sprites,
    left: number,
    top: number,
  ): void {
    const context = this.#context;
    const step = size * this.#ratio;
    const at = (index: number, scroll: number) => Math.round(index * step - scroll * this.#ratio);
    if (dragged) {
      context.fillStyle = "#ffb81f40";
      const [x, y] = [at(dragged.columnFrom, left), at(dragged.rowFrom, top)];
      context.fillRect(x, y, at(dragged.columnTo, left) - x, at(dragged.rowTo, top) - y);
    }
    if (!active) return;
    const [x, y] = [at(active.column, left), at(active.row, top)];
    for (const [inset, token] of [[0, "text"], [2, "accent"]] as const) {
      const line = 2 * this.#ratio;
      const offset = inset * this.#ratio + line / 2;
      context.strokeStyle = palette.css(token);
      context.lineWidth = line;
      context.strokeRect(x + offset, y + offset, edge - 2 * offset, edge - 2 * offset);
    }
  }
}
