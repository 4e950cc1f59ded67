/** Two axes at once: a heat table that flags interactions. */
import { HeatTable } from "../../charts/heat_table.tsx";
import { positionOn, scaleFor } from "../../charts/scale.ts";
import { formatNumber } from "../../text/format.ts";
import type { Run } from "../run/run_state.ts";
import { type Choice, sliceOf } from "./choice.ts";
import { type Level, measures, type Series, signed, type Stats } from "./measures.ts";
import { resultsTexts } from "./texts.ts";

/** Number of images from which a field is coloured. */
const imagesMin = 5;
const columnsMax = 60;
const rowsMax = 100;
/** q-value up to which a combination is flagged. */
const qMax = 0.05;

type By = NonNullable<Stats["by"]>;

/** Returns the fields of the table, row by row. */
function toRows(run: Run, stats: Stats, by: By, { measure }: Choice, { of }: Series) {
  const { format, countOf, shown, least } = measures[measure];
  const colouredOf = (level: Level) => countOf(level) >= imagesMin ? of(level) : null;
  const values = by.groups.flatMap(({ levels }) => levels.flatMap((level) => colouredOf(level)?.value ?? []));
  const scale = scaleFor([], least, [...shown, ...values]);
  return stats.levels.slice(0, rowsMax).map((row, i) => ({
    label: row.label,
    fields: by.groups.slice(0, columnsMax).map((group) => {
      const level = group.levels[i]!;
      const value = of(level)?.value;
      const coloured = colouredOf(level);
      const excess = by.interactions.find((one) =>
        one.q <= qMax && one.level === row.level && one.by === group.level
      )?.excess;
      return {
        value: value === undefined ? "–" : format(value),
        n: `n ${formatNumber(countOf(level))}`,
        heat: coloured ? positionOn(scale, coloured.value) : undefined,
        flag: excess && `${excess > 0 ? "▲" : "▼"} ${signed(excess)}`,
        to: sliceOf(run, [[by.axis.axis, group.level], [stats.axis.axis, row.level]]),
      };
    }),
  }));
}

export function TwoAxes({ run, stats, choice }: { run: Run; stats: Stats; choice: Choice }) {
  const t = resultsTexts.value;
  const { measure } = choice;
  const { by } = stats;
  if (!by) return null;
  const { interactions, groups } = by;
  const { series } = measures[measure];
  return (
    <section class="panel stack">
      <h2>{stats.axis.name} × {by.axis.name}</h2>
      <div class="results-two">
        {series.map((one) => (
          <HeatTable
            key={one.name}
            caption={series.length > 1 ? t.series[one.name] : t.measures[measure]}
            columns={groups.slice(0, columnsMax).map(({ label }) => label)}
            rows={toRows(run, stats, by, choice, one)}
            tone={series.length > 1 ? "failed" : ""}
          />
        ))}
      </div>
      <p class="muted small">
        {t.heatLegend(imagesMin)} {measure === "mean" && t.interactions(
          interactions.length > 0,
          interactions.some(({ q }) => q <= qMax),
        )} {(groups.length > columnsMax || stats.levels.length > rowsMax) && t.heatCut(rowsMax, columnsMax)}
      </p>
    </section>
  );
}
