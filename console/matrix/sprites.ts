/** Pictures of a cell without its image, drawn once for each look and size. */
import { marks, type State } from "../kit/status.tsx";
import { formatFixed } from "../text/format.ts";
import { type Palette, readableOn, type Rgb, toCss, type Token } from "./palette.ts";

/** Looks of the states, which differ by shape and not only by colour. */
const looks: Record<State, { ink: Token; ground?: Token; width?: number; dash?: number[] }> = {
  pending: { ink: "pending", dash: [2, 2.1] },
  processing: { ink: "processing", ground: "surface" },
  completed: { ink: "completed", ground: "sunken" },
  failed: { ink: "failed", ground: "failed-soft", width: 2 },
  cancelled: { ink: "cancelled" },
  held: { ink: "held", width: 2.2 },
  expired: { ink: "expired", ground: "sunken" },
};

/** Edge from which a rating is written into its cell. */
const digitsFrom = 32;

export class Sprites {
  readonly #drawn = new Map<string, OffscreenCanvas>();

  /** @param edge edge of a picture in device pixels @param ratio device pixels per CSS pixel */
  constructor(readonly palette: Palette, readonly edge: number, readonly ratio: number) {}

  #draw(key: string, draw: (context: OffscreenCanvasRenderingContext2D) => void): OffscreenCanvas {
    const found = this.#drawn.get(key);
    if (found) return found;
    const canvas = new OffscreenCanvas(this.edge, this.edge);
    draw(canvas.getContext("2d")!);
    this.#drawn.set(key, canvas);
    return canvas;
  }

  #fill(context: OffscreenCanvasRenderingContext2D, colour: string): void {
    context.fillStyle = colour;
    context.fillRect(0, 0, this.edge, this.edge);
  }

  #mark(context: OffscreenCanvasRenderingContext2D, state: State, token: Token): void {
    const size = Math.min(this.edge * 0.5, 28 * this.ratio);
    const { width = 1.5, dash = [] } = looks[state];
    context.translate((this.edge - size) / 2, (this.edge - size) / 2);
    context.scale(size / 16, size / 16);
    context.strokeStyle = this.palette.css(token);
    context.lineWidth = width;
    context.lineCap = context.lineJoin = "round";
    context.setLineDash(dash);
    context.stroke(new Path2D(marks[state].d));
  }

  /** A state. */
  state(state: State): OffscreenCanvas {
    return this.#draw(state, (context) => {
      const { ink, ground } = looks[state];
      if (ground) this.#fill(context, this.palette.css(ground));
      this.#mark(context, state, ink);
    });
  }

  /** A completed cell whose image has not come yet, or that has no value under the lens. */
  blank(): OffscreenCanvas {
    return this.#draw("blank", (context) => this.#fill(context, this.palette.css("sunken")));
  }

  #value(key: string, colour: Rgb, text: string): OffscreenCanvas {
    return this.#draw(key, (context) => {
      this.#fill(context, toCss(colour));
      if (this.edge < digitsFrom * this.ratio) return;
      context.fillStyle = readableOn(colour);
      context.font = `${Math.min(this.edge * 0.36, 18 * this.ratio)}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(text, this.edge / 2, this.edge / 2);
    });
  }

  /** A mean rating. @param tenths ten times the mean */
  rating(tenths: number): OffscreenCanvas {
    return this.#value(`r${tenths}`, this.palette.rating(tenths / 10), formatFixed(tenths / 10, 1));
  }

  /** A disagreement. @param byte one plus ten times the standard deviation */
  spread(byte: number): OffscreenCanvas {
    const deviation = (byte - 1) / 10;
    return this.#value(`d${byte}`, this.palette.spread(deviation), `±${formatFixed(deviation, 1)}`);
  }
}
