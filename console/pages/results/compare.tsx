/** Two runs: the difference between them on the units that both have rated. */
import { useState } from "preact/hooks";
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { useResource } from "../../api/use_resource.ts";
import { plotColumn, PlotTable } from "../../charts/plot_table.tsx";
import { type Estimate, scaleFor } from "../../charts/scale.ts";
import { LinkButton } from "../../kit/button.tsx";
import { TextField } from "../../kit/field.tsx";
import { Link } from "../../kit/router.tsx";
import { Empty, FailureBox, Loading, Notice } from "../../kit/states.tsx";
import { formatTime } from "../../text/format.ts";
import { fixed, formatP, signed } from "./measures.ts";
import { resultsTexts } from "./texts.ts";
import { describeWarning } from "./words.ts";

type Comparison = Schemas["Comparison"];

export const addressOf = (a: string, b: string): string => `/compare?tasks=${a},${b}`;

/** Runs by name, each as a link. @param toAddress address of the page with a run */
export function Picker({ title, other, toAddress }: {
  title: string;
  /** The run that is compared already. */
  other: string;
  toAddress: (id: string) => string;
}) {
  const t = resultsTexts.value.compare;
  const [name, setName] = useState("");
  const { data, error, reload } = useResource(
    (signal) =>
      unwrap(
        v2.GET("/api/v2/tasks", { params: { query: { limit: 20, ...(name ? { name } : {}) } }, signal }),
      ),
    [name],
  );
  const runs = data?.items.filter(({ id }) => id !== other);
  return (
    <section class="panel stack">
      <h2>{title}</h2>
      <TextField label={t.search} type="search" value={name} maxLength={500} onInput={setName} />
      {error && <FailureBox failure={error} retry={reload} />}
      <ul class="results-runs">
        {runs?.map((run) => (
          <li key={run.id}>
            <Link to={toAddress(run.id)}>
              <bdi>{run.name}</bdi> <span class="muted">{formatTime(run.created_at)}</span>
            </Link>
          </li>
        ))}
      </ul>
      {runs?.length === 0 && <p class="muted">{t.noRuns}</p>}
    </section>
  );
}

/** The runs, each with the number of ratings behind its mean. */
function Sides({ a, b }: Pick<Comparison, "a" | "b">) {
  const t = resultsTexts.value.compare;
  return (
    <PlotTable
      caption={t.title}
      rows={[{ key: "A", ...a }, { key: "B", ...b }]}
      columns={[
        {
          title: t.run,
          cell: ({ key, task_id: id, name }) => <Link to={`/runs/${id}/results`}>{key}: {name}</Link>,
        },
        { title: t.mean, cell: ({ mean }) => mean === null ? "–" : fixed(mean) },
        { title: "n", cell: ({ ratings, raters, units_alone: alone }) => t.side(ratings, raters, alone) },
        {
          title: "",
          cell: ({ key }) => (
            <Link to={key === "A" ? addressOf("", b.task_id) : addressOf(a.task_id, "")}>{t.change}</Link>
          ),
        },
      ]}
    />
  );
}

interface Pair {
  label: string;
  a: number;
  b: number;
  difference: Estimate;
}

/** The difference over all units, and that of each unit on the same scale. */
function Differences({ comparison }: { comparison: Comparison }) {
  const t = resultsTexts.value.compare;
  const { a, b, difference, shared, units } = comparison;
  if (!difference) return null;
  const pairs: Pair[] = [
    { label: t.all(units), a: a.mean!, b: b.mean!, difference },
    ...shared.map(({ labels, difference: value, ...unit }) => ({
      ...unit,
      label: labels.join(" · "),
      difference: { value, low: null, high: null },
    })),
  ];
  const { low, high, value } = difference;
  const isDecided = low !== null && high !== null && low * high > 0;
  return (
    <section class="panel stack">
      <h2>{isDecided ? t.verdict(fixed(Math.abs(value)), value > 0) : t.undecided}</h2>
      <PlotTable<Pair>
        caption={t.difference}
        rows={pairs}
        columns={[
          { title: t.unit, cell: ({ label }) => label },
          plotColumn({
            title: t.difference,
            scale: scaleFor(pairs.map((pair) => pair.difference), 1, [0]),
            format: signed,
            of: (pair) => pair.difference,
            reference: 0,
          }),
          { title: "A", cell: (pair) => fixed(pair.a) },
          { title: "B", cell: (pair) => fixed(pair.b) },
        ]}
      />
      <p class="muted">
        {t.numbers(comparison)} {comparison.p !== null && `p ${formatP(comparison.p)}.`}
      </p>
      <details>
        <summary>{resultsTexts.value.why}</summary>
        <p>{t.method(comparison.method)}</p>
      </details>
    </section>
  );
}

/** Settings, tags, axes and seeds that are not the same: the difference may come from each of them. */
function Differing(
  { differs: { settings, fixed: tags, axes, seed_policy: seeds } }: Pick<Comparison, "differs">,
) {
  const t = resultsTexts.value.compare;
  const rows = [
    ...settings.map(({ key, a, b }) => [key, a, b]),
    ...tags.map(({ type, a, b }) => [type, a.join(", "), b.join(", ")]),
    ...axes.map((axis) => [axis.name, axis.only_a.join(", "), axis.only_b.join(", ")]),
    ...(seeds ? [[t.seeds, seeds.a, seeds.b]] : []),
  ];
  if (rows.length === 0) return null;
  const columns = [t.what, "A", "B"].map((title, i) => ({
    title,
    cell: (row: typeof rows[number]) => row[i] || "–",
  }));
  return (
    <section class="panel stack">
      <h2>{t.differs}</h2>
      <PlotTable caption={t.differs} rows={rows} columns={columns} />
    </section>
  );
}

export function Compared({ a, b }: { a: string; b: string }) {
  const t = resultsTexts.value.compare;
  const { data, error, reload } = useResource(
    (signal) => unwrap(v2.GET("/api/v2/compare", { params: { query: { tasks: `${a},${b}` } }, signal })),
    [a, b],
  );
  if (error) {
    return (
      <>
        <FailureBox failure={error} retry={reload} />
        <LinkButton to={addressOf(a, "")}>{t.change}</LinkButton>
      </>
    );
  }
  if (!data) return <Loading lines={5} />;
  return (
    <>
      <section class="panel">
        <Sides a={data.a} b={data.b} />
      </section>
      {data.units === 0
        ? <Empty icon="swap" title={t.nothing}>{t.nothingText}</Empty>
        : data.warnings.length > 0 && (
          <Notice kind="warning">
            <ul>{data.warnings.map((warning) => <li key={warning.code}>{describeWarning(warning)}</li>)}</ul>
          </Notice>
        )}
      <Differences comparison={data} />
      <Differing differs={data.differs} />
    </>
  );
}
