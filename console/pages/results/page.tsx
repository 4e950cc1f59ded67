/** Pages Results and Compare: what the ratings, votes and failures of a run, or of two, say. */
import { unwrap, v2 } from "../../api/client.ts";
import type { ApiError } from "../../api/problem.ts";
import { useResource } from "../../api/use_resource.ts";
import { LinkButton } from "../../kit/button.tsx";
import { Page } from "../../kit/page.tsx";
import { query } from "../../kit/router.tsx";
import { Empty, FailureBox, Loading, Notice } from "../../kit/states.tsx";
import { formatList } from "../../text/format.ts";
import { Failures } from "../run/failures.tsx";
import { RunFrame } from "../run/frame.tsx";
import { type Run, type RunState, useCellUpdates, useRun } from "../run/run_state.ts";
import { runTexts } from "../run/texts.ts";
import { type Choice, readChoice } from "./choice.ts";
import { addressOf, Compared, Picker } from "./compare.tsx";
import { LevelsTable } from "./levels.tsx";
import { measures, type Stats } from "./measures.ts";
import { Raters } from "./raters.tsx";
import { resultsTexts } from "./texts.ts";
import { Toolbar } from "./toolbar.tsx";
import { TwoAxes } from "./two_axes.tsx";
import { describeWarning, findBest, listNames, nameLevel } from "./words.ts";

/** Shortest time between two readings while the run changes. */
const updateMs = 5_000;

function useStats(id: string, { axis, by, measure, baseline }: Choice) {
  const keys = [id, axis.axis, by?.axis, measure, measure === "mean" ? baseline : 0] as const;
  return useResource<Stats>((signal) => {
    const query = {
      axis: axis.axis,
      measure,
      ...(by ? { by: by.axis } : {}),
      ...(measure === "mean" ? { baseline } : {}),
    };
    return unwrap(v2.GET("/api/v2/tasks/{id}/stats", { params: { path: { id }, query }, signal }));
  }, keys);
}

/** The warnings of v2 about the numbers. */
function Warnings({ stats }: { stats: Stats }) {
  if (stats.warnings.length === 0) return null;
  return (
    <Notice kind="warning">
      <ul>
        {stats.warnings.map((warning) => (
          <li key={warning.code}>
            {describeWarning(warning)}
            {warning.levels && ` (${listNames(warning.levels.map((level) => nameLevel(stats, level)))})`}
          </li>
        ))}
      </ul>
    </Notice>
  );
}

function Levels({ run, stats, choice }: { run: Run; stats: Stats; choice: Choice }) {
  const t = resultsTexts.value;
  const { measure } = choice;
  const { axis, levels, unit, method } = stats;
  if (levels.every((level) => measures[measure].countOf(level) === 0)) {
    return (
      <Empty
        icon="chart"
        title={t.empty[measure]}
        action={measure !== "fail" && (
          <LinkButton kind="primary" to={`/runs/${run.id}/${measure === "bt" ? "pairs" : "rate"}`}>
            {runTexts.value.tab.rate}
          </LinkButton>
        )}
      />
    );
  }
  const axesOfUnit = formatList(
    unit.axes.map((key) => run.axes.find((one) => one.axis === key)?.name ?? key),
  );
  return (
    <>
      <section class="panel stack">
        <h2>{t.tableOf(axis.name, t.measures[measure])}</h2>
        <p class="results-finding">{levels.length === 1 ? t.oneLevel : findBest(stats, measure)}</p>
        <LevelsTable run={run} stats={stats} choice={choice} />
        <p class="muted small">{t.legends[measure]}</p>
        <details>
          <summary>{t.why}</summary>
          <p>{t.method(method, measure, unit.basis, axesOfUnit, unit.units)}</p>
        </details>
      </section>
      <Warnings stats={stats} />
      <TwoAxes run={run} stats={stats} choice={choice} />
    </>
  );
}

/** A failed reading. Where raters may not see what others say, that is no failure. */
function Refusal({ error, retry, choice }: { error: ApiError; retry: () => void; choice: Choice }) {
  return error.status === 403 && choice.measure !== "fail"
    ? <Notice>{resultsTexts.value.blind}</Notice>
    : <FailureBox failure={error} retry={retry} />;
}

function Results({ run, choice, state }: { run: Run; choice: Choice; state: RunState }) {
  const t = resultsTexts.value;
  const stats = useStats(run.id, choice);
  const agreement = useResource(
    (signal) => unwrap(v2.GET("/api/v2/tasks/{id}/agreement", { params: { path: { id: run.id } }, signal })),
    [run.id],
  );
  useCellUpdates(state, updateMs, () => {
    stats.reload();
    agreement.reload();
  });
  // After another choice, the data still belongs to the choice before until the new request begins.
  const data = stats.data?.axis.axis === choice.axis.axis && choice.measure in (stats.data.levels[0] ?? {})
    ? stats.data
    : undefined;
  return (
    <div class="results-body">
      <Toolbar run={run} choice={choice} stats={data} />
      {run.cells.open > 0 && <Notice>{t.provisional(run.cells.open, run.cells.total)}</Notice>}
      {stats.error && <Refusal error={stats.error} retry={stats.reload} choice={choice} />}
      {!data && !stats.error && <Loading lines={6} />}
      {data && <Levels run={run} stats={data} choice={choice} />}
      {choice.measure === "fail"
        ? <Failures run={run} reload={state.reload} />
        : agreement.data && <Raters agreement={agreement.data} />}
    </div>
  );
}

export function ResultsPage({ id }: { id: string }) {
  const state = useRun(id);
  return (
    <RunFrame id={id} state={state} tab="results" class="results">
      {(run) => {
        const choice = readChoice(run);
        return choice && run.cells.total > 0
          ? <Results run={run} choice={choice} state={state} />
          : <Empty icon="chart" title={resultsTexts.value.noCells} />;
      }}
    </RunFrame>
  );
}

/** Page Compare: it shares most of its code with the results of one run. */
export function ComparePage() {
  const t = resultsTexts.value.compare;
  const [a = "", b = ""] = (query.value.get("tasks") ?? "").split(",");
  return (
    <Page title={t.title}>
      {a && b ? <Compared key={a + b} a={a} b={b} /> : (
        <Picker
          key={a ? "B" : "A"}
          title={t.pick(a ? "B" : "A")}
          other={a || b}
          toAddress={(id) => a ? addressOf(a, id) : addressOf(id, b)}
        />
      )}
    </Page>
  );
}
