/** A table whose columns may draw their numbers: a dot with its interval in each row, on one scale. */
import type { ComponentChildren } from "preact";
import { type Estimate, type Format, formatEstimate, positionOn, type Scale } from "./scale.ts";

export interface Column<Row> {
  title: string;
  /** Above the title. */
  head?: ComponentChildren;
  cell: (row: Row) => ComponentChildren;
  class?: string;
}

const percent = (share: number): string => `${100 * share}%`;

interface Plot<Row> {
  title: string;
  scale: Scale;
  format: Format;
  of: (row: Row) => Estimate | null;
  /** A second value, drawn as an outline. */
  second?: (row: Row) => number | null | undefined;
  /** A value that the others are compared with, drawn as a line through all rows. */
  reference?: number | undefined;
  /** Below the numbers. */
  note?: (row: Row) => ComponentChildren;
}

/** Returns a column that draws an estimate. The drawing says nothing that the numbers beside it do not say. */
export function plotColumn<Row>(plot: Plot<Row>): Column<Row> {
  const { title, scale, format, of, second, reference, note } = plot;
  const at = (value: number) => ({ left: percent(positionOn(scale, value)) });
  const mark = (name: string, value: number | null | undefined) =>
    typeof value === "number" && <i class={name} style={at(value)} />;
  const draw = ({ value, low, high }: Estimate, row: Row) => (
    <div class="chart-line" style={{ backgroundSize: `${percent(1 / (scale.ticks.length - 1))} 100%` }}>
      {mark("chart-reference", reference)}
      {low !== null && high !== null && (
        <i
          class="chart-range"
          style={{ ...at(low), width: percent(positionOn(scale, high) - positionOn(scale, low)) }}
        />
      )}
      {mark("chart-second", second?.(row))}
      {mark(`chart-dot ${low === null ? "alone" : ""}`, value)}
    </div>
  );
  return {
    title,
    class: "chart-plot",
    head: (
      <div class="chart-ticks" aria-hidden="true">
        {scale.ticks.map((tick) => <span key={tick} style={at(tick)}>{format(tick)}</span>)}
      </div>
    ),
    cell(row) {
      const estimate = of(row);
      return (
        <div class="chart-cell">
          {estimate && draw(estimate, row)}
          <div class="chart-numbers">
            {estimate && formatEstimate(estimate, format)}
            <small>{note?.(row)}</small>
          </div>
        </div>
      );
    },
  };
}

interface TableProps<Row> {
  caption: string;
  /** The first one names the rows. */
  columns: readonly (Column<Row> | false)[];
  rows: readonly Row[];
}

export function PlotTable<Row>({ caption, columns, rows }: TableProps<Row>) {
  const shown = columns.filter((column) => column !== false);
  return (
    <div class="table-scroll">
      <table class="table chart-table number">
        <caption class="sr-only">{caption}</caption>
        <thead>
          <tr>
            {shown.map(({ title, head, class: name }) => (
              <th key={title} scope="col" class={name}>
                <div class="chart-cell">
                  {head}
                  <div class="chart-numbers">{title}</div>
                </div>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, i) => (
            <tr key={i}>
              {shown.map(({ title, cell, class: name }, c) =>
                c === 0
                  ? <th key={title} scope="row">{cell(row)}</th>
                  : <td key={title} class={name} data-label={title}>{cell(row)}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Shares that add up to 1, as small bars. @param label the shares in words */
export function Bars({ shares, label }: { shares: readonly number[]; label: string }) {
  const most = Math.max(...shares);
  return (
    <span class="chart-bars" role="img" aria-label={label} title={label}>
      {shares.map((share, i) => <i key={i} style={{ height: percent(share / most) }} />)}
    </span>
  );
}
