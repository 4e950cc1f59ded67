/** Tables and facts from the names of fields. A field's form follows from its value and its name. */
import type { ComponentChildren } from "preact";
import { secondsFromNow } from "../api/network.ts";
import { formatDuration, formatNumber, formatRelative } from "../text/format.ts";
import { operatorTexts } from "./texts.ts";

/** A field, or a label with what stands under it. */
export type Column<Row> =
  | keyof Row & string
  | [label: string, value: (row: Row) => ComponentChildren];

/** A time, as its distance. */
export const distance = (at: string): string => formatRelative(secondsFromNow(at));

/** Values that need attention, as `field.value`. */
const alarming =
  /^(status\.degraded|workers\.0|(leader|alive|is_active|is_current)\.false|redis\.away|fault\.true|state\.(given_up|stopped|not_ready|unknown)|verdict\.different|cause\.(code|data))$/;

/** Shows the value of a field. */
export function show(name: string, value: unknown): ComponentChildren {
  if (value === null || value === undefined || value === "") return "–";
  if (Array.isArray(value)) return value.map((one) => operatorTexts.value.value(name, one)).join(", ");
  if (typeof value === "number" && name !== "pid") {
    return name.endsWith("seconds") ? formatDuration(value) : formatNumber(value, value < 10 ? 1 : 0);
  }
  const text = String(value);
  if (/(^|_)at$/.test(name)) return <time dateTime={text}>{distance(text)}</time>;
  return <bdi>{operatorTexts.value.value(name, text)}</bdi>;
}

interface Cell {
  label: string;
  content: ComponentChildren;
  class: string | undefined;
}

function toCells<Row>(row: Row, columns: readonly Column<Row>[]): Cell[] {
  return columns.map((column) => {
    if (typeof column !== "string") return { label: column[0], content: column[1](row), class: undefined };
    const value = row[column];
    return {
      label: operatorTexts.value.label(column),
      content: show(column, value),
      class: alarming.test(`${column}.${value}`)
        ? "op-alarm"
        : typeof value === "number"
        ? "number"
        : undefined,
    };
  });
}

/** A table. On a narrow screen each row becomes a card, whose values have the names of their columns. */
export function Table<Row>(
  { label, columns, rows }: { label: string; columns: readonly Column<Row>[]; rows: readonly Row[] },
) {
  const all = rows.map((row) => toCells(row, columns));
  return (
    <table class="table op-table" aria-label={label}>
      <thead>
        <tr>
          {all[0]?.map(({ label, class: kind }) => <th key={label} scope="col" class={kind}>{label}</th>)}
        </tr>
      </thead>
      <tbody>
        {all.map((cells, i) => (
          <tr key={(rows[i] as { id?: string }).id ?? i}>
            {cells.map(({ label, content, class: kind }) => (
              <td key={label} class={kind} data-label={label}>{content}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Fields of one object beside each other. */
export function Facts<Row>({ of, columns }: { of: Row; columns: readonly Column<Row>[] }) {
  return (
    <dl class="op-facts">
      {toCells(of, columns).map(({ label, content, class: kind }) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd class={kind}>{content}</dd>
        </div>
      ))}
    </dl>
  );
}
