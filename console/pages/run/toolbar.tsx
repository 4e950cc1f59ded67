/** Which part of the run is shown, and how. */
import { IconButton } from "../../kit/button.tsx";
import { Segmented, Select } from "../../kit/field.tsx";
import { useShortcuts } from "../../kit/shortcuts.ts";
import type { Axis, Matrix } from "../../matrix/geometry.ts";
import { lenses } from "../../matrix/painter.ts";
import { matrixTexts } from "../../matrix/texts.ts";
import { runTexts } from "./texts.ts";
import { changeView, readView, stepZoom, type ViewState, zooms } from "./view_state.ts";

interface ToolbarProps {
  matrix: Matrix;
  view: ViewState;
}

/** Swaps rows and columns. */
export const swapAxes = ({ x, y }: ViewState): void => {
  if (y !== "") changeView({ x: y, y: x });
};

/** Picks an axis; picking the other one's swaps both. */
function AxisPicker({ which, axes, view }: { which: "x" | "y"; axes: readonly Axis[]; view: ViewState }) {
  const t = runTexts.value;
  const options = axes.map(({ key, name, labels }) => ({ value: key, label: `${name} (${labels.length})` }));
  if (which === "y") options.push({ value: "", label: t.wrapped });
  const other = which === "x" ? "y" : "x";
  const change = (key: string) => {
    if (key !== "" && key === view[other]) changeView({ [which]: key, [other]: view[which] });
    else changeView({ [which]: key });
  };
  return (
    <Select
      label={which === "x" ? t.axisX : t.axisY}
      value={view[which]}
      options={options}
      onChange={change}
    />
  );
}

/** One value of an axis that is neither in rows nor in columns. */
function AxisChip({ axis, view }: { axis: Axis; view: ViewState }) {
  const t = runTexts.value;
  const index = view.at[axis.key] ?? 0;
  const go = (to: number) => changeView({ at: { ...view.at, [axis.key]: to } });
  return (
    <div class="run-chip">
      <IconButton
        icon="left"
        label={t.previous(axis.name)}
        disabled={index === 0}
        onClick={() => go(index - 1)}
      />
      <Select
        label={axis.name}
        value={String(index)}
        options={axis.labels.map((label, i) => ({ value: String(i), label: label.slice(0, 80) }))}
        onChange={(value) => go(Number(value))}
      />
      <IconButton
        icon="right"
        label={t.next(axis.name)}
        disabled={index >= axis.labels.length - 1}
        onClick={() => go(index + 1)}
      />
    </div>
  );
}

/** The keys that change the view. */
function useViewKeys(matrix: Matrix): void {
  const t = matrixTexts.value;
  // Key presses may be faster than rendering, so the latest view is read from the address.
  const zoom = (step: number) => changeView({ zoom: stepZoom(readView(matrix).zoom, step) });
  useShortcuts(t.title, [
    { keys: ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"], label: t.move, isListedOnly: true },
    { keys: ["Enter"], label: t.open, isListedOnly: true },
    { keys: [" "], label: t.select, isListedOnly: true },
    { keys: ["ArrowDown"], label: t.selectRange, isListedOnly: true },
    { keys: [" "], label: t.selectRow, isListedOnly: true },
    { keys: ["a"], withControl: true, label: t.selectAll, isListedOnly: true },
    { keys: ["Escape"], label: t.clear, isListedOnly: true },
    { keys: ["+", "="], label: t.zoomIn, run: () => zoom(1) },
    { keys: ["-"], label: t.zoomOut, run: () => zoom(-1) },
    { keys: ["s"], label: t.swap, run: () => swapAxes(readView(matrix)) },
  ]);
}

export function Toolbar({ matrix, view }: ToolbarProps) {
  const t = runTexts.value;
  const { axes, blocks } = matrix;
  useViewKeys(matrix);
  const others = axes.filter(({ key, labels }) => key !== view.x && key !== view.y && labels.length > 1);
  return (
    <div class="run-toolbar" role="group" aria-label={t.toolbar}>
      {blocks && axes.length > 0 && (
        <>
          <AxisPicker which="y" axes={axes} view={view} />
          <IconButton
            icon="swap"
            label={`${t.swap} (S)`}
            disabled={view.y === ""}
            onClick={() => swapAxes(view)}
          />
          <AxisPicker which="x" axes={axes} view={view} />
          {others.map((axis) => <AxisChip key={axis.key} axis={axis} view={view} />)}
        </>
      )}
      <span class="grow" />
      <Segmented
        label={t.lens}
        value={view.lens}
        options={lenses.map((value) => ({ value, label: t.lenses[value] }))}
        onChange={(lens) => changeView({ lens })}
      />
      <div class="run-zoom">
        <span class="field-label" id="run-zoom">{t.zoom}</span>
        <input
          type="range"
          aria-labelledby="run-zoom"
          aria-valuetext={`${view.zoom} px`}
          min={0}
          max={zooms.length - 1}
          value={zooms.indexOf(view.zoom as (typeof zooms)[number])}
          onInput={(event) => changeView({ zoom: zooms[Number(event.currentTarget.value)] })}
        />
      </div>
    </div>
  );
}
