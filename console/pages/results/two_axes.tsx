/** Two axes at once: a heat table, and the combinations that are more or less than both axes say. */
import { useState } from "preact/hooks";
import { HeatTable } from "../../charts/heat_table.tsx";
import { positionOn, scaleFor } from "../../charts/scale.ts";
import { Segmented } from "../../kit/field.tsx";
import { formatNumber } from "../../text/format.ts";
import type { Run } from "../run/run_state.ts";
import { type Choice, sliceOf } from "./choice.ts";
import { formatP, type Level, measures, type Series, signed, type Stats } from "./measures.ts";
import { resultsTexts } from "./texts.ts";
import { nameLevel } from "./words.ts";

/** Number of images from which a field is coloured. */
const imagesMin = 5;
const columnsMax = 60;
const rowsMax = 100;
/** q-value up to which a combination is flagged. */
const qMax = 0.05;
const interactionsMax = 12;

type By = NonNullable<Stats["by"]>;
type Interaction = By["interactions"][number];

const describe = ({ excess, q }: Interaction): string =>
  resultsTexts.value.interactions.excess(signed(excess), formatP(q));

/** Lists the flagged combinations in words. */
function Interactions({ stats, by }: { stats: Stats; by: By }) {
  const t = resultsTexts.value.interactions;
  const flagged = by.interactions.filter(({ q }) => q <= qMax);
  if (flagged.length === 0) {
    return <p class="muted">{by.interactions.length === 0 ? t.untested : t.none}</p>;
  }
  const groups = { axis: by.axis, levels: by.groups };
  return (
    <ul>
      {flagged.slice(0, interactionsMax).map((one) => (
        <li key={`${one.level} ${one.by}`}>
          {nameLevel(stats, one.level)} × {nameLevel(groups, one.by)}: {describe(one)}
        </li>
      ))}
    </ul>
  );
}

/** Returns the fields of the table, row by row. */
function toRows(run: Run, stats: Stats, by: By, choice: Choice, { of, name }: Series) {
  const { format, countOf, shown, least } = measures[choice.measure];
  const isColoured = (level: Level) => countOf(level) >= imagesMin && of(level) !== null;
  const coloured = by.groups.flatMap(({ levels }) => levels.filter(isColoured).map((one) => of(one)!.value));
  const scale = scaleFor(coloured.map((value) => ({ value, low: null, high: null })), least, shown);
  return stats.levels.slice(0, rowsMax).map((row, i) => ({
    label: row.label,
    fields: by.groups.slice(0, columnsMax).map((group) => {
      const level = group.levels[i]!;
      const value = of(level)?.value;
      const flag = by.interactions.find((one) =>
        name === "mean" && one.q <= qMax && one.level === row.level && one.by === group.level
      );
      return {
        value: value === undefined ? "–" : format(value),
        n: `n ${formatNumber(countOf(level))}`,
        heat: value !== undefined && isColoured(level) ? positionOn(scale, value) : undefined,
        flag: flag && { mark: flag.excess > 0 ? "▲" : "▼", label: describe(flag) },
        to: sliceOf(run, [[by.axis.axis, group.level], [stats.axis.axis, row.level]]),
      };
    }),
  }));
}

export function TwoAxes({ run, stats, choice }: { run: Run; stats: Stats; choice: Choice }) {
  const t = resultsTexts.value;
  const { series } = measures[choice.measure];
  const [name, setName] = useState<Series["name"]>("failed");
  const { by } = stats;
  if (!by) return null;
  const chosen = series.find((one) => one.name === name) ?? series[0]!;
  const title = `${stats.axis.name} × ${by.axis.name}`;
  return (
    <section class="panel stack">
      <h2>{title}</h2>
      {series.length > 1 && (
        <Segmented
          label={t.measure}
          isLabelHidden
          value={chosen.name}
          options={series.map((one) => ({ value: one.name, label: t.series[one.name] }))}
          onChange={setName}
        />
      )}
      <div class="results-two">
        <HeatTable
          caption={`${title}: ${t.series[chosen.name]}`}
          columns={by.groups.slice(0, columnsMax).map(({ label }) => label)}
          rows={toRows(run, stats, by, choice, chosen)}
          tone={series.length > 1 ? "failed" : ""}
        />
        {chosen.name === "mean" && (
          <div class="stack">
            <h3>{t.interactions.title}</h3>
            <Interactions stats={stats} by={by} />
          </div>
        )}
      </div>
      <p class="muted small">
        {t.heatLegend(imagesMin)}
        {(by.groups.length > columnsMax || stats.levels.length > rowsMax) && t.heatCut(rowsMax, columnsMax)}
      </p>
    </section>
  );
}
