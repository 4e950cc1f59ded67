/** The matrix: a scrolled window of cells with labels that stay, for pointer and keyboard. */
import { type Signal, useSignalEffect } from "@preact/signals";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { isDark } from "../kit/theme.ts";
import type { Cells } from "./cells.ts";
import { areaBetween, type Layout, listCells, type Place } from "./geometry.ts";
import { cellNodeId, CellNodes, ColumnLabels, RowLabels } from "./grid_parts.tsx";
import { moveByKey } from "./grid_keys.ts";
import type { ImageLoader } from "./images.ts";
import type { Lens } from "./painter.ts";
import type { Selection } from "./selection.ts";
import { matrixTexts } from "./texts.ts";
import type { Labels, MatrixView } from "./view.ts";

/** A cell under the pointer. */
export interface Hovered {
  cell: number;
  x: number;
  y: number;
}

export interface GridProps {
  view: MatrixView;
  layout: Layout;
  cells: Cells;
  images: ImageLoader;
  lens: Lens;
  size: number;
  selection: Selection;
  hovered: Signal<Hovered | undefined>;
  /** Names of the shown axes, "" for none. */
  names: { x: string; y: string };
  labels: Labels;
  onOpen: (cell: number) => void;
  /** Called with +1 or -1 for Ctrl and the wheel. */
  onZoom: (step: number) => void;
}

/** Distance in pixels from which a press is a drag. */
const dragFrom = 5;
const longPressMs = 450;

/** Handles presses, drags and hovering. */
function usePointer({ view, layout, selection, hovered, onOpen }: GridProps) {
  const press = useRef<{ place: Place; x: number; y: number; timer?: number; isTouch: boolean } | undefined>(
    undefined,
  );
  const cellAt = ({ row, column }: Place) => layout.cellAt(row, column);
  const end = () => {
    clearTimeout(press.current?.timer);
    press.current = undefined;
    selection.dragged.value = undefined;
  };
  return {
    onPointerDown(event: PointerEvent & { currentTarget: HTMLElement }) {
      const place = view.placeAt(event.clientX, event.clientY);
      hovered.value = undefined;
      if (!place || event.button !== 0) return;
      const isTouch = event.pointerType === "touch";
      const selectLong = () => {
        selection.choose([cellAt(place)], "toggle");
        end();
      };
      const timer = isTouch ? setTimeout(selectLong, longPressMs) : undefined;
      press.current = { place, x: event.clientX, y: event.clientY, timer, isTouch };
      if (!isTouch) event.currentTarget.setPointerCapture(event.pointerId);
    },
    onPointerMove({ clientX, clientY, pointerType }: PointerEvent) {
      const place = view.placeAt(clientX, clientY);
      if (!press.current) {
        const cell = place && pointerType === "mouse" ? cellAt(place) : undefined;
        hovered.value = cell === undefined ? undefined : { cell, x: clientX, y: clientY };
        return;
      }
      const { x, y, isTouch, place: from } = press.current;
      if (isTouch || !place || Math.hypot(clientX - x, clientY - y) < dragFrom) return;
      selection.dragged.value = areaBetween(from, place);
      view.reveal(place);
    },
    onPointerUp(event: PointerEvent) {
      const pressed = press.current;
      const dragged = selection.dragged.value;
      end();
      if (!pressed) return;
      const { place, isTouch } = pressed;
      if (dragged) {
        selection.choose(listCells(layout, dragged), event.ctrlKey || event.metaKey ? "add" : "replace");
      } else if (isTouch) {
        selection.move(layout, place, false);
        onOpen(cellAt(place));
      } else if (event.shiftKey) selection.move(layout, place, true);
      else {
        selection.move(layout, place, false);
        selection.choose([cellAt(place)], event.ctrlKey || event.metaKey ? "toggle" : "replace");
      }
    },
    onPointerCancel: end,
    onPointerLeave: () => (hovered.value = undefined),
    onDblClick(event: MouseEvent) {
      const place = view.placeAt(event.clientX, event.clientY);
      if (place) onOpen(cellAt(place));
    },
  };
}

/** Handles the keys of the matrix. */
function useKeys({ view, layout, selection, onOpen }: GridProps) {
  return (event: KeyboardEvent) => {
    const { key, ctrlKey, metaKey, shiftKey } = event;
    const hasControl = ctrlKey || metaKey;
    const start = { row: view.area.value.rowFrom, column: view.area.value.columnFrom };
    const active = selection.active.value;
    const from = active ?? start;
    const cell = layout.cellAt(from.row, from.column);
    const next = moveByKey(event, from, layout, view.area.value);
    if (next) {
      const place = active || key.length < 5 ? next : from;
      selection.move(layout, place, shiftKey);
      view.reveal(place);
    } else if (key === "Enter") onOpen(cell);
    else if (key === " ") {
      const row = {
        ...view.area.value,
        rowFrom: from.row,
        rowTo: from.row + 1,
        columnFrom: 0,
        columnTo: layout.columns,
      };
      if (shiftKey) selection.choose(listCells(layout, row), "add");
      else selection.choose([cell], "toggle");
    } else if (key === "a" && hasControl) {
      selection.choose(
        listCells(layout, { rowFrom: 0, rowTo: layout.rows, columnFrom: 0, columnTo: layout.columns }),
        "add",
      );
    } else if (key === "Escape" && selection.cells.value.size > 0) selection.clear();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
}

/** Connects the view to its elements, and shows each change. */
function useView(props: GridProps) {
  const { view, layout, cells, images, lens, size, selection, labels } = props;
  const [scroller, canvas, columns, rows, nodes] = Array.from(
    { length: 5 },
    () => useRef<HTMLElement>(null),
  ) as [Ref, Ref, Ref, Ref, Ref];
  useLayoutEffect(() =>
    view.attach({
      scroller: scroller.current!,
      canvas: canvas.current as HTMLCanvasElement,
      columns: columns.current!,
      rows: rows.current!,
      cells: nodes.current!,
    }), [view]);
  const show = () =>
    view.show({
      layout,
      cells,
      images,
      lens,
      size,
      selection: selection.cells.value,
      active: selection.active.value,
      dragged: selection.dragged.value,
    }, labels);
  useLayoutEffect(show, [layout, cells, images, lens, size, labels.left, labels.top]);
  useSignalEffect(show);
  useEffect(() => cells.subscribe(() => view.refresh()), [cells]);
  useEffect(() => view.forgetColours(), [isDark.value]);
  return { scroller, canvas, columns, rows, nodes };
}
type Ref = { current: HTMLElement | null };

/** Zooms by Ctrl and the wheel. The browser's own zoom is prevented, which a passive listener cannot. */
function useWheelZoom(scroller: Ref, onZoom: (step: number) => void): void {
  const zoom = useRef(onZoom);
  zoom.current = onZoom;
  useEffect(() => {
    let travelled = 0;
    const onWheel = (event: WheelEvent) => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      travelled += event.deltaY;
      if (Math.abs(travelled) < 40) return;
      zoom.current(travelled < 0 ? 1 : -1);
      travelled = 0;
    };
    const element = scroller.current!;
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => element.removeEventListener("wheel", onWheel);
  }, []);
}

export function Grid(props: GridProps) {
  const { view, layout, cells, size, selection, labels, names } = props;
  const { scroller, canvas, columns, rows, nodes } = useView(props);
  const pointer = usePointer(props);
  const onKeyDown = useKeys(props);
  useWheelZoom(scroller, props.onZoom);
  const active = selection.active.value;
  const activeCell = active ? layout.cellAt(active.row, active.column) : undefined;
  const inside = useMemo(() => ({
    width: `${labels.left + layout.columns * size}px`,
    // A view that scrolls leaves room for the overview under its last cells.
    height: `max(100cqh, ${labels.top + layout.rows * size}px + clamp(0px, (${
      labels.top + layout.rows * size
    }px - 100cqh) * 999, 150px))`,
  }), [layout, size, labels.left, labels.top]);
  return (
    <div
      class={`matrix ${labels.isUpright ? "upright" : ""} ${size < 64 ? "narrow" : ""}`}
      ref={scroller as never}
      role="grid"
      tabIndex={0}
      aria-label={matrixTexts.value.label(cells.total, layout.rows, layout.columns)}
      aria-rowcount={layout.rows}
      aria-colcount={layout.columns}
      aria-multiselectable
      aria-activedescendant={activeCell === undefined ? undefined : cellNodeId(activeCell)}
      onKeyDown={onKeyDown}
      style={{ "--size": `${size}px`, "--left": `${labels.left}px`, "--top": `${labels.top}px` }}
      {...pointer}
    >
      <div class="matrix-inside" style={inside} role="presentation">
        <div class="matrix-layer" role="presentation">
          <canvas class="matrix-canvas" ref={canvas as never} aria-hidden="true" />
          <div class="matrix-corner" aria-hidden="true">
            {names.x && <span class="matrix-corner-x">{names.x} →</span>}
            {names.y && <span class="matrix-corner-y">{names.y} ↓</span>}
          </div>
          <div class="matrix-columns" aria-hidden="true">
            <div ref={columns as never}>
              <ColumnLabels view={view} layout={layout} size={size} />
            </div>
          </div>
          <div class="matrix-rows" aria-hidden="true">
            <div ref={rows as never}>
              <RowLabels view={view} layout={layout} size={size} />
            </div>
          </div>
          <div class="matrix-nodes" role="presentation">
            <div ref={nodes as never} role="presentation">
              <CellNodes {...props} />
            </div>
          </div>
        </div>
      </div>
    </div>
  );
}
