/** One run of the list. */
import { secondsFromNow } from "../../api/network.ts";
import { Icon } from "../../kit/icons.tsx";
import { Menu } from "../../kit/menu.tsx";
import { Link } from "../../kit/router.tsx";
import { StateBar, StateChip } from "../../kit/status.tsx";
import { common } from "../../kit/texts.ts";
import { formatRelative, formatTime } from "../../text/format.ts";
import { listActions, type ListControl } from "./actions.ts";
import { type Activity, activityOf, barCounts, isOpen, type Run } from "./activity.ts";
import { Strip } from "./strip.tsx";
import { runsTexts } from "./texts.ts";

const ratersShown = 3;

/** The first letter of a rater's name, as a round sign. */
function Raters({ raters }: Pick<Activity, "raters">) {
  if (raters.length === 0) return null;
  const t = runsTexts.value;
  const names = raters.map(({ name }) => name ?? t.byLink);
  const text = t.raters(names.slice(0, ratersShown), Math.max(0, names.length - ratersShown));
  return (
    <span class="raters" role="img" aria-label={text} title={text}>
      {names.slice(0, ratersShown).map((name, i) => (
        <span key={i} class="rater">{[...name][0]!.toUpperCase()}</span>
      ))}
      {names.length > ratersShown && <span class="rater more">+{names.length - ratersShown}</span>}
    </span>
  );
}

/** Rate and remaining time of an open run, or how long an ended one took. */
function Pace({ run, activity }: { run: Run; activity: Activity }) {
  const t = runsTexts.value;
  const { per_minute, eta, hold, status } = activity;
  if (hold !== null) return null;
  if (!isOpen(activity)) {
    if (run.started_at === null || run.completed_at === null) return null;
    const seconds = (Date.parse(run.completed_at) - Date.parse(run.started_at)) / 1000;
    return <span class="muted">{t.took(seconds)}</span>;
  }
  if (per_minute === null) return <span class="muted">{status === "pending" ? t.waiting : t.noRate}</span>;
  return (
    <>
      <span>{t.rate(per_minute)}</span>
      {eta && <span class="strong" title={t.etaTitle}>{t.eta(eta.seconds_low, eta.seconds_high)}</span>}
    </>
  );
}

function RunState({ activity: { status, hold } }: { activity: Activity }) {
  const t = runsTexts.value;
  if (hold !== null) return <StateChip state="held" text={t.hold[hold]} />;
  return <StateChip state={status} />;
}

/** @param control changes of the list that the actions need */
export function RunRow({ run, control }: { run: Run; control: ListControl }) {
  const t = runsTexts.value;
  const activity = activityOf(run);
  const { cells } = activity;
  const ended = cells.completed + cells.failed + cells.cancelled;
  const actions = listActions(run, activity, control);
  return (
    <li class="runs-row">
      <Strip id={run.id} total={cells.total} drawn={cells.completed} />
      <div class="runs-title">
        <Link to={`/runs/${run.id}`} class="runs-name">{run.name}</Link>
        <p class="muted small runs-about">
          <span>{run.mine ? t.byMe : t.by(run.owner ?? common.value.unknown)}</span>
          <time dateTime={run.created_at} title={formatTime(run.created_at)}>
            {formatRelative(secondsFromNow(run.created_at))}
          </time>
          {run.blind && <span>{t.blind}</span>}
        </p>
      </div>
      <div class="runs-progress">
        <div class="runs-state">
          <RunState activity={activity} />
          <span class="number">{t.done(ended, cells.total)}</span>
          {cells.failed > 0 && (
            <span class="runs-failed number" title={common.value.states.failed}>
              <Icon name="close" />
              {cells.failed}
            </span>
          )}
        </div>
        <StateBar counts={barCounts(activity)} total={cells.total} />
        <div class="runs-pace small number">
          <Pace run={run} activity={activity} />
        </div>
      </div>
      <Raters raters={activity.raters} />
      {actions.length > 0 && <Menu label={t.actions(run.name)} items={actions} class="runs-menu" />}
    </li>
  );
}
