/** The plan beside the draft: how many images, how long, and what to mend. */
import type { Schemas } from "../../api/client.ts";
import { Button } from "../../kit/button.tsx";
import { Icon } from "../../kit/icons.tsx";
import { FailureBox } from "../../kit/states.tsx";
import { formatList, formatNumber } from "../../text/format.ts";
import { axisOfKey } from "./body.ts";
import { draft, linesOf } from "./draft.ts";
import { findMend, listIdleAxes } from "./mends.ts";
import { newRunTexts } from "./texts.ts";
import type { PlanState } from "./use_plan.ts";

type Plan = Schemas["TaskPlan"];

const frameSides = { columns: 24, rows: 10 };

/** The sheet as it will be: the first axis down and the others across, at most as many frames as fit. */
function SheetSketch({ lengths }: { lengths: readonly number[] }) {
  const [down = 1, ...across] = lengths;
  const columns = across.reduce((product, length) => product * length, 1);
  const shown = { rows: Math.min(down, frameSides.rows), columns: Math.min(columns, frameSides.columns) };
  return (
    <div
      class={`sheet-sketch ${columns > shown.columns ? "wider" : ""} ${down > shown.rows ? "longer" : ""}`}
      aria-hidden="true"
      style={{ "--columns": String(shown.columns), "--rows": String(shown.rows) }}
    />
  );
}

function Warnings({ warnings }: Pick<Plan, "warnings">) {
  const t = newRunTexts.value;
  const idle = listIdleAxes(draft.value).map(({ name }) => name);
  if (warnings.length === 0) {
    return (
      <p class="plan-fine">
        <Icon name="check" />
        {t.noWarnings}
      </p>
    );
  }
  return (
    <ul class="warnings" aria-label={t.warnings(warnings.length)}>
      {warnings.map(({ code, message, axes }) => {
        const names = formatList(axes.map((key) => axisOfKey(draft.value, key)?.name ?? key));
        const words = t.warning[code];
        const mend = findMend(draft.value, code, axes);
        return (
          <li key={code} class="warning">
            <Icon name="warning" />
            <div class="grow">
              <p>{typeof words === "function" ? words(names) : words ?? message}</p>
              {code === "duplicates" && idle.length > 0 && <p>{t.idleAxes(formatList(idle))}</p>}
              {mend && <Button kind="quiet" class="mend" onClick={mend.run}>{t.mend[mend.key]}</Button>}
            </div>
          </li>
        );
      })}
    </ul>
  );
}

function Figures({ plan }: { plan: Plan }) {
  const t = newRunTexts.value;
  const { seconds, duplicates, reusable, queues } = plan;
  return (
    <dl class="figures">
      <div title={seconds ? t.durationHint(seconds.p90) : undefined}>
        <dt>{t.durationLabel}</dt>
        <dd>{seconds ? t.duration(seconds.p50, seconds.p90) : <span class="muted">{t.noDuration}</span>}</dd>
      </div>
      <div>
        <dt>{t.duplicates}</dt>
        <dd class="number">{formatNumber(duplicates)}</dd>
      </div>
      <div title={t.reusableHint}>
        <dt>{t.reusable}</dt>
        <dd class="number">{formatNumber(reusable)}</dd>
      </div>
      <div>
        <dt>{t.queues}</dt>
        <dd>
          {queues.map(({ queue, backlog, slots }) => (
            <p key={queue} class="small muted">{t.queue(queue, backlog, slots)}</p>
          ))}
        </dd>
      </div>
    </dl>
  );
}

export function PlanPanel({ state }: { state: PlanState }) {
  const t = newRunTexts.value;
  const { plan, error, isLoading, retry } = state;
  const lengths = draft.value.axes.map((axis) => linesOf(axis).length).filter((length) => length > 0);
  return (
    <section
      class={`plan panel stack ${isLoading ? "loading-plan" : ""}`}
      aria-labelledby="plan-title"
      aria-busy={isLoading}
    >
      <h2 id="plan-title">{t.plan}</h2>
      {lengths.length > 0 && <SheetSketch lengths={lengths} />}
      {plan && (
        <>
          <p class="plan-count">
            <strong>{t.images(plan.cells)}</strong>
            {lengths.length > 1 && <span class="muted number">{t.product(lengths)}</span>}
          </p>
          <Figures plan={plan} />
          <Warnings warnings={plan.warnings} />
        </>
      )}
      {!plan && !error && <p class="muted">{isLoading ? t.planning : t.planEmpty}</p>}
      {error && <FailureBox failure={error} retry={retry} />}
    </section>
  );
}
