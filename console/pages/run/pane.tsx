/** The matrix with its tools: pickers, overview, selection and details. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { asApiError } from "../../api/problem.ts";
import { Button } from "../../kit/button.tsx";
import { describeFailure, Empty, Notice } from "../../kit/states.tsx";
import { common } from "../../kit/texts.ts";
import { showToast } from "../../kit/toast.tsx";
import type { Cells } from "../../matrix/cells.ts";
import { createLayout, type Layout, type Matrix } from "../../matrix/geometry.ts";
import { Grid, type Hovered } from "../../matrix/grid.tsx";
import { ImageLoader } from "../../matrix/images.ts";
import { Minimap } from "../../matrix/minimap.tsx";
import { Selection } from "../../matrix/selection.ts";
import { type Labels, MatrixView } from "../../matrix/view.ts";
import { Drawer } from "./drawer.tsx";
import { Failures } from "./failures.tsx";
import { HoverCard } from "./hover_card.tsx";
import type { Run, RunState } from "./run_state.ts";
import { SelectionBar } from "./selection_bar.tsx";
import { runTexts } from "./texts.ts";
import { Toolbar } from "./toolbar.tsx";
import { changeView, readView, stepZoom, toMatrix, type ViewState } from "./view_state.ts";

/** What lasts as long as the page: the view, the images and the selection. */
function useTools() {
  const [isHostDown, setHostDown] = useState(false);
  const tools = useMemo(() => {
    const view = new MatrixView(
      () => changeView({ start: view.start }),
      (error) => showToast({ text: describeFailure(asApiError(error)), kind: "failed", seconds: 6 }),
    );
    const images = new ImageLoader(() => {
      view.requestFrame();
      setHostDown(images.isHostDown);
    });
    return { view, images, selection: new Selection() };
  }, []);
  useEffect(() => () => tools.images.close(), []);
  return { ...tools, isHostDown };
}

/** Widths in pixels of a letter and of all a narrow column's label at most. */
const letterWidth = 7;
const labelMax = 104;

/** Returns the room that the labels take. Long ones stand upright over narrow columns. */
function measureLabels({ columns, columnLabel }: Layout, { y, zoom }: ViewState): Labels {
  const left = y === "" ? 56 : innerWidth < 640 ? 88 : 168;
  let length = 0;
  for (let i = 0; i < columns; i++) length = Math.max(length, columnLabel(i).length);
  if (length === 0) return { left, top: 0, isUpright: false };
  const isUpright = zoom < 64 && length * letterWidth > zoom;
  return {
    left,
    top: isUpright ? Math.min(labelMax, Math.max(44, 16 + length * letterWidth)) : 44,
    isUpright,
  };
}

/** Reads the plane of disagreements when its lens is first chosen. */
function useSpread(cells: Cells, lens: ViewState["lens"]): void {
  useEffect(() => {
    if (lens !== "spread") return;
    const controller = new AbortController();
    const read = () => cells.read(controller.signal, ["spread"]).catch(() => {});
    void read();
    return () => controller.abort();
  }, [cells, lens]);
}

/** Keeps the middle of the view where it is while the size changes, and goes to the start when the axes change. */
function useStablePlace(view: MatrixView, { x, y, zoom, start }: ViewState): void {
  const before = useRef({ zoom, axes: `${x} ${y}` });
  const axes = `${x} ${y}`;
  useEffect(() => view.scrollTo(start), []);
  useEffect(() => {
    const last = before.current;
    before.current = { zoom, axes };
    if (last.axes !== axes) view.scrollTo({ row: 0, column: 0 });
    else if (last.zoom !== zoom) {
      const { left, top, width, height } = view.viewport;
      view.scrollTo({ row: (top + height / 2) / last.zoom, column: (left + width / 2) / last.zoom }, true);
    }
  }, [zoom, axes]);
}

function Legend({ lens }: { lens: ViewState["lens"] }) {
  const t = runTexts.value.legend;
  if (lens !== "rating" && lens !== "spread") return null;
  return (
    <p class={`run-legend ${lens}`}>
      <span aria-hidden="true" />
      {lens === "rating" ? t.rating : t.spread}
    </p>
  );
}

/** The matrix, its overview and the details of a cell. */
function Panes({ run, matrix, cells, view }: { run: Run; matrix: Matrix; cells: Cells; view: ViewState }) {
  const t = runTexts.value;
  const { view: window, images, selection, isHostDown } = useTools();
  const hovered = useSignal<Hovered | undefined>(undefined);
  const wrapColumns = Math.max(1, Math.floor((innerWidth - 80) / view.zoom));
  const atKey = JSON.stringify(view.at);
  const layout = useMemo(() => createLayout(matrix, view, wrapColumns), [
    matrix,
    view.x,
    view.y,
    atKey,
    wrapColumns,
  ]);
  const labels = useMemo(() => measureLabels(layout, view), [layout, view.zoom, view.y, innerWidth < 640]);
  const nameOf = (key: string) => matrix.axes.find((axis) => axis.key === key)?.name ?? "";
  useSpread(cells, view.lens);
  useStablePlace(window, view);
  useEffect(() => selection.forgetPlaces(), [view.x, view.y, atKey]);
  const open = (cell: number) => cell >= 0 && changeView({ cell });
  const close = () => {
    changeView({ cell: undefined });
    document.querySelector<HTMLElement>(".matrix")?.focus();
  };
  const active = selection.active.value;
  useEffect(() => {
    // Details follow the keyboard while they are open.
    if (view.cell !== undefined && active) open(layout.cellAt(active.row, active.column));
  }, [active]);
  const retryImages = () => {
    images.retry();
    window.refresh();
  };
  return (
    <div class={`run-panes ${view.cell === undefined ? "" : "with-drawer"}`}>
      <div class="run-matrix">
        {isHostDown && (
          <Notice
            kind="warning"
            action={<Button icon="retry" onClick={retryImages}>{common.value.retry}</Button>}
          >
            {t.hostDown}
          </Notice>
        )}
        <Grid
          view={window}
          layout={layout}
          cells={cells}
          images={images}
          lens={view.lens}
          size={view.zoom}
          selection={selection}
          hovered={hovered}
          names={{ x: nameOf(view.x), y: nameOf(view.y) }}
          labels={labels}
          onOpen={open}
          onZoom={(step) => changeView({ zoom: stepZoom(readView(matrix).zoom, step) })}
        />
        <div class="run-overview">
          <Minimap view={window} layout={layout} cells={cells} lens={view.lens} />
          <Legend lens={view.lens} />
        </div>
        <SelectionBar run={run} cells={cells} selection={selection} onOpen={open} />
      </div>
      {view.cell !== undefined && (
        <Drawer run={run} matrix={matrix} cells={cells} cell={view.cell} onClose={close} />
      )}
      <HoverCard hovered={hovered} matrix={matrix} cells={cells} view={window} />
    </div>
  );
}

export function MatrixPane({ run, state }: { run: Run; state: RunState }) {
  const { cells, run: { reload } } = state;
  // Axes change only when a run is extended: events replace the run's counts many times.
  const key = JSON.stringify([run.blocks, run.axes.length, cells.total]);
  const matrix = useMemo(() => toMatrix(run), [run.id, key]);
  const view = readView(matrix);
  if (cells.total === 0) return <Empty title={common.value.cells(0)} />;
  return (
    <>
      <Toolbar matrix={matrix} view={view} />
      <Failures run={run} reload={reload} />
      <Panes run={run} matrix={matrix} cells={cells} view={view} />
    </>
  );
}
