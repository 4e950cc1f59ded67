/** An overview of all cells, one pixel each. A frame shows what is visible; a click or a drag goes there. */
import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { isDark } from "../kit/theme.ts";
import type { Cells } from "./cells.ts";
import type { Layout } from "./geometry.ts";
import type { Lens } from "./painter.ts";
import { Palette, type Rgb, type Token } from "./palette.ts";
import { matrixTexts } from "./texts.ts";
import type { MatrixView } from "./view.ts";

/** Maximum edge of the picture in pixels; larger matrices are sampled. */
const edgeMax = 600;
const paintMs = 250;

const tokenOfState: Record<string, Token> = {
  pending: "line",
  processing: "processing",
  completed: "completed",
  failed: "failed",
  cancelled: "ground",
};

/** Returns the colour of a cell under a lens. */
function colourOf(cells: Cells, lens: Lens, palette: Palette, cell: number): Rgb {
  const state = cell < 0 ? undefined : cells.stateOf(cell);
  if (state === undefined) return palette.rgb("ground");
  if (state === "completed" && lens === "rating") {
    const tenths = cells.ratingOf(cell);
    return tenths === 0 ? palette.rgb("sunken") : palette.rating(tenths / 10);
  }
  if (state === "completed" && lens === "spread") {
    const byte = cells.spreadOf(cell);
    return byte === 0 ? palette.rgb("sunken") : palette.spread((byte - 1) / 10);
  }
  return palette.rgb(tokenOfState[state] ?? "line");
}

function paint(canvas: HTMLCanvasElement, layout: Layout, cells: Cells, lens: Lens): void {
  const [width, height] = [Math.min(edgeMax, layout.columns), Math.min(edgeMax, layout.rows)];
  if (width === 0 || height === 0) return;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(width, height);
  const palette = new Palette(canvas.parentElement!);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y * layout.rows / height);
    for (let x = 0; x < width; x++) {
      const cell = layout.cellAt(row, Math.floor(x * layout.columns / width));
      image.data.set([...colourOf(cells, lens, palette, cell), 255], 4 * (y * width + x));
    }
  }
  context.putImageData(image, 0, 0);
}

interface MinimapProps {
  view: MatrixView;
  layout: Layout;
  cells: Cells;
  lens: Lens;
}

export function Minimap({ view, layout, cells, lens }: MinimapProps) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const area = view.area.value;
  const isAllVisible = area.rowTo - area.rowFrom >= layout.rows &&
    area.columnTo - area.columnFrom >= layout.columns;
  const frame = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let timer: number | undefined;
    const paintNow = () => {
      timer = undefined;
      paint(canvas.current!, layout, cells, lens);
    };
    paintNow();
    const stop = cells.subscribe(() => (timer ??= setTimeout(paintNow, paintMs)));
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [layout, cells, lens, isDark.value]);
  useSignalEffect(() => {
    const { rowFrom, rowTo, columnFrom, columnTo } = view.area.value;
    const percent = (part: number, whole: number) => `${100 * part / Math.max(1, whole)}%`;
    Object.assign(frame.current!.style, {
      left: percent(columnFrom, layout.columns),
      top: percent(rowFrom, layout.rows),
      width: percent(columnTo - columnFrom, layout.columns),
      height: percent(rowTo - rowFrom, layout.rows),
    });
  });
  const go = (event: PointerEvent) => {
    if (event.buttons !== 1) return;
    const box = canvas.current!.getBoundingClientRect();
    const column = (event.clientX - box.left) / box.width * layout.columns;
    const row = (event.clientY - box.top) / box.height * layout.rows;
    view.scrollTo({ row, column }, true);
  };
  return (
    <div
      class="minimap"
      hidden={isAllVisible}
      role="img"
      aria-label={matrixTexts.value.minimap}
      title={matrixTexts.value.minimap}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        go(event);
      }}
      onPointerMove={go}
    >
      <canvas ref={canvas} />
      <div class="minimap-frame" ref={frame} />
    </div>
  );
}
