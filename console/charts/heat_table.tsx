/** A table of two axes whose fields are coloured by a value. */
import { Link } from "../kit/router.tsx";

export interface HeatField {
  value: string;
  /** Number of images or votes on which the value is based. */
  n: string;
  /** From 0 to 1; undefined leaves the field without colour. */
  heat: number | undefined;
  /** A mark for a field that stands out. */
  flag: string | 0 | undefined;
  /** Where a click leads. */
  to: string;
}

interface HeatProps {
  caption: string;
  columns: readonly string[];
  rows: readonly { label: string; fields: readonly HeatField[] }[];
  /** `failed` colours with the colour of failures. */
  tone: "failed" | "";
}

function Field({ value, n, heat, flag, to }: HeatField) {
  return (
    <td
      class={`chart-field ${heat === undefined ? "bare" : ""} ${flag ? "flagged" : ""}`}
      style={heat === undefined ? undefined : { "--heat": `${45 * heat}%` }}
    >
      <Link to={to}>
        <span class="strong">{value}</span>
        {flag && <b>{flag}</b>}
        <small>{n}</small>
      </Link>
    </td>
  );
}

export function HeatTable({ caption, columns, rows, tone }: HeatProps) {
  return (
    <div class="table-scroll" tabIndex={0} role="region" aria-label={caption}>
      <table class={`chart-heat number ${tone}`}>
        <caption>{caption}</caption>
        <thead>
          <tr>
            <td />
            {columns.map((label, i) => <th key={i} scope="col" title={label}>{label}</th>)}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ label, fields }, i) => (
            <tr key={i}>
              <th scope="row" title={label}>{label}</th>
              {fields.map((field, column) => <Field key={column} {...field} />)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
