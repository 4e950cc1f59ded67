/** What the cell under the pointer is, a moment after the pointer has rested on it. */
import type { Signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { StateChip } from "../../kit/status.tsx";
import type { Cells } from "../../matrix/cells.ts";
import type { Matrix } from "../../matrix/geometry.ts";
import { CellValues } from "./cell_values.tsx";
import type { Hovered } from "../../matrix/grid.tsx";
import { matrixTexts } from "../../matrix/texts.ts";
import type { MatrixView } from "../../matrix/view.ts";

const delayMs = 350;
const cardWidth = 280;

export function HoverCard({ hovered, matrix, cells, view }: {
  hovered: Signal<Hovered | undefined>;
  matrix: Matrix;
  cells: Cells;
  view: MatrixView;
}) {
  const { value } = hovered;
  const [cell, setCell] = useState<number>();
  useEffect(() => {
    setCell(undefined);
    if (value === undefined) return;
    const timer = setTimeout(() => setCell(value.cell), delayMs);
    return () => clearTimeout(timer);
  }, [value?.cell]);
  if (value === undefined || cell !== value.cell) return null;
  const info = cells.infoOf(cell);
  const tenths = cells.ratingOf(cell);
  const state = view.lookOf(cell);
  const left = Math.max(8, Math.min(innerWidth - cardWidth - 8, value.x + 16));
  const isLow = value.y > innerHeight * 0.6;
  const style = isLow ? { left: `${left}px`, bottom: `${innerHeight - value.y + 16}px` } : {
    left: `${left}px`,
    top: `${value.y + 16}px`,
  };
  return (
    <div class="hover-card" style={style} aria-hidden="true">
      <div class="row">
        {state && <StateChip state={state} />}
        {tenths > 0 && <span class="number">{matrixTexts.value.rated(tenths / 10)}</span>}
        <span class="muted number">#{cell}</span>
      </div>
      <CellValues matrix={matrix} cell={cell} />
      {info?.error && (
        <p class="hover-error">
          <bdi>{info.error}</bdi>
        </p>
      )}
    </div>
  );
}
