/** The levels of an axis: a dot with its interval, and all numbers behind it. */
import { useState } from "preact/hooks";
import { Bars, type Column, plotColumn, PlotTable } from "../../charts/plot_table.tsx";
import { formatEstimate, scaleFor } from "../../charts/scale.ts";
import { Button } from "../../kit/button.tsx";
import { Link } from "../../kit/router.tsx";
import { formatList, formatNumber, formatPercent } from "../../text/format.ts";
import type { Run } from "../run/run_state.ts";
import { type Choice, sliceOf } from "./choice.ts";
import { fixed, formatP, type Level, measures, type Series, signed, type Stats } from "./measures.ts";
import { resultsTexts } from "./texts.ts";
import { explainGap } from "./words.ts";

const rowsMax = 100;

interface LevelsProps {
  run: Run;
  stats: Stats;
  choice: Choice;
}

function Against({ against }: { against: NonNullable<Level["against"]> }) {
  const { difference, p_holm: p, units, better } = against;
  return (
    <span class={p !== null && p <= 0.05 ? "strong" : ""}>
      {difference && formatEstimate(difference, signed)}
      <small>
        {resultsTexts.value.against(p === null ? "" : `p ${formatP(p)}, `, units, formatPercent(better))}
      </small>
    </span>
  );
}

/** Numbers that only the mean has. */
function listMeanColumns(): Column<Level>[] {
  const t = resultsTexts.value.columns;
  return [
    { title: t.adjusted, cell: ({ adjusted }) => typeof adjusted === "number" ? fixed(adjusted) : "–" },
    { title: t.best, cell: ({ best }) => typeof best === "number" ? formatPercent(best) : "–" },
    { title: t.against, cell: ({ against }) => against ? <Against against={against} /> : "–" },
    {
      title: t.stars,
      cell: ({ distribution: shares }) =>
        shares
          ? (
            <Bars
              shares={shares}
              label={formatList(shares.map((one, i) => `${i + 1}: ${formatPercent(one)}`))}
            />
          )
          : "–",
    },
  ];
}

/** Returns the numbers of units, images, ratings and raters of a level, in words. */
function countOf({ n, bt, fail }: Level): string {
  const t = resultsTexts.value.n;
  if (n) return t.ratings(n);
  if (!fail) return t.votes(bt?.votes ?? 0);
  const { refused, timed_out, failed } = fail.attempts;
  return t.ended(fail.ended, refused + timed_out + failed);
}

function listColumns({ run, stats, choice: { measure } }: LevelsProps): Column<Level>[] {
  const t = resultsTexts.value;
  const { axis, levels, baseline } = stats;
  const { series, format, least, shown } = measures[measure];
  const base = levels.find(({ level }) => level === baseline);
  const plots = series.map(({ name, of }) =>
    plotColumn<Level>({
      title: t.series[name],
      scale: scaleFor(levels.map(of), least, [...shown, ...levels.flatMap(({ adjusted }) => adjusted ?? [])]),
      format,
      of,
      ...(measure === "mean"
        ? { second: ({ adjusted }) => adjusted, reference: base?.mean?.value }
        : measure === "bt"
        ? { reference: 0 }
        : {}),
      note: (level) => {
        const share = level.fail?.[name as "failed"];
        return !of(level)
          ? t.nothing
          : share
          ? `${formatNumber(share.n)} / ${formatNumber(share.of)}`
          : explainGap(level, stats);
      },
    })
  );
  return [
    {
      title: axis.name,
      cell: ({ level, label }) => (
        <>
          <Link to={sliceOf(run, [[axis.axis, level]])} title={t.openSlice}>{label}</Link>
          {measure === "mean" && level === baseline && <small>{t.isBaseline}</small>}
        </>
      ),
    },
    ...plots,
    ...(measure === "mean" ? listMeanColumns() : []),
    ...(measure === "bt"
      ? [{
        title: t.columns.ranks,
        cell: ({ bt }: Level) => bt ? [...new Set([bt.ranks.best, bt.ranks.worst])].join(" – ") : "–",
      }]
      : []),
    { title: "n", cell: countOf },
  ];
}

/** Returns the levels, the best first; those without a value come last. */
function sortLevels({ levels }: Stats, { of, name }: Series): Level[] {
  const sign = name === "failed" ? 1 : -1;
  const worst = 1e9;
  const keyOf = (level: Level) => sign * (of(level)?.value ?? sign * worst);
  return levels.toSorted((a, b) => keyOf(a) - keyOf(b));
}

export function LevelsTable(props: LevelsProps) {
  const t = resultsTexts.value;
  const [isAll, setAll] = useState(false);
  const { stats, choice: { measure, isBestFirst } } = props;
  const sorted = isBestFirst ? sortLevels(stats, measures[measure].series.at(-1)!) : stats.levels;
  return (
    <>
      <PlotTable
        caption={t.tableOf(stats.axis.name, t.measures[measure])}
        columns={listColumns(props)}
        rows={isAll ? sorted : sorted.slice(0, rowsMax)}
      />
      {!isAll && sorted.length > rowsMax && (
        <Button onClick={() => setAll(true)}>{t.showAll(sorted.length)}</Button>
      )}
    </>
  );
}
