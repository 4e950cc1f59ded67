/** The head of a run: its name, state, progress and what one may do. */
import { useState } from "preact/hooks";
import { session } from "../../api/session.ts";
import { Button } from "../../kit/button.tsx";
import { Menu, type MenuItem } from "../../kit/menu.tsx";
import { Link, navigate } from "../../kit/router.tsx";
import { Notice } from "../../kit/states.tsx";
import { type State, StateBar, StateChip } from "../../kit/status.tsx";
import { Tabs } from "../../kit/tabs.tsx";
import { formatNumber } from "../../text/format.ts";
import {
  cancelRun,
  exportFormats,
  exportRun,
  isMember,
  mayChange,
  pauseRun,
  resumeRun,
  retryCells,
} from "./actions.ts";
import type { Run, RunState } from "./run_state.ts";
import { ShareDialog } from "./share_dialog.tsx";
import { runTexts } from "./texts.ts";

/** Returns the state that a run shows: a held one is not being drawn. */
export const stateOfRun = ({ status, hold, cells }: Pick<Run, "status" | "hold" | "cells">): State =>
  hold && cells.open > 0 ? "held" : status;

function Progress({ run, isConnected }: { run: Run; isConnected: boolean }) {
  const t = runTexts.value;
  const { cells, rate, eta } = run;
  const isOpen = cells.open > 0;
  return (
    <div class="run-progress">
      <StateBar
        counts={{
          completed: cells.completed,
          failed: cells.failed,
          cancelled: cells.cancelled,
          processing: cells.processing,
          [run.hold ? "held" : "pending"]: cells.pending,
        }}
        total={cells.total}
      />
      <p class="run-numbers muted number">
        <span>{t.done(cells.completed, cells.total)}</span>
        {isOpen && rate && <span>{t.rate(formatNumber(rate.per_minute, 1))}</span>}
        {isOpen && !run.hold && (
          <span>{eta ? t.eta(eta.seconds_low, eta.seconds_high ?? undefined) : t.etaUnknown}</span>
        )}
        {isOpen && !isConnected && <span class="run-not-live">{t.notLive}</span>}
      </p>
    </div>
  );
}

/** The actions that do not stand beside the name. */
function listMore({ run: { data: run, reload } }: RunState, share: () => void): MenuItem[] {
  const t = runTexts.value.actions;
  if (!run) return [];
  const { id, name, cells } = run;
  const isOwn = mayChange(run);
  const items: (MenuItem | false)[] = [
    isOwn && cells.failed > 0 && {
      label: t.retry(cells.failed),
      icon: "retry",
      run: () => void retryCells(id, {}).then(reload),
    },
    isMember() && { label: t.clone, icon: "copy", run: () => navigate(`/new?from=${id}`) },
    isOwn && { label: t.share, icon: "share", run: share },
    ...exportFormats.map((format): MenuItem => ({
      label: `${t.export}: ${t.exportAs[format]}`,
      icon: "download",
      run: () => void exportRun(id, name, format),
    })),
    isOwn && cells.open > 0 && {
      label: t.cancel,
      icon: "stop",
      isDanger: true,
      run: () => cancelRun(run, reload),
    },
  ];
  return items.filter((item) => item !== false);
}

function Actions({ state }: { state: RunState }) {
  const [isSharing, setSharing] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const { run: { data: run, reload } } = state;
  if (!run) return null;
  const t = runTexts.value.actions;
  const isOpen = mayChange(run) && run.cells.open > 0;
  const change = async (work: (id: string) => Promise<boolean>) => {
    setBusy(true);
    await work(run.id);
    setBusy(false);
    reload();
  };
  return (
    <div class="run-actions">
      {isOpen && !run.hold && (
        <Button icon="pause" isBusy={isBusy} onClick={() => void change(pauseRun)}>{t.pause}</Button>
      )}
      {isOpen && run.hold && (
        <Button
          kind="primary"
          icon="play"
          isBusy={isBusy}
          onClick={() => void change(resumeRun)}
        >
          {t.resume}
        </Button>
      )}
      <Menu label={t.more} items={listMore(state, () => setSharing(true))} class="at-end" />
      {isSharing && <ShareDialog id={run.id} onClose={() => setSharing(false)} />}
    </div>
  );
}

/** The tabs of a run. @param current `matrix`, `rate` or `results` */
export function RunTabs({ id, current }: { id: string; current: string }) {
  const t = runTexts.value;
  const { value } = session;
  const share = value.state === "shared" ? value.share : undefined;
  const tabs = [
    { key: "matrix", label: t.tab.matrix, to: `/runs/${id}` },
    share?.mode !== "read" && { key: "rate", label: t.tab.rate, to: `/runs/${id}/rate` },
    // Results would reveal the ratings of others.
    !share?.blind && { key: "results", label: t.tab.results, to: `/runs/${id}/results` },
  ];
  return <Tabs label={t.tabs} current={current} tabs={tabs.filter((tab) => tab !== false)} />;
}

export function RunHead({ state }: { state: RunState }) {
  const t = runTexts.value;
  const { run: { data: run }, isConnected } = state;
  if (!run) return null;
  return (
    <>
      <header class="run-head">
        <div class="run-title">
          <h1 title={run.name}>
            {isMember() && <Link to="/" class="run-back" aria-label={t.back}>‹</Link>}
            <bdi>{run.name}</bdi>
          </h1>
          <StateChip state={stateOfRun(run)} />
          {run.owner && !run.mine && <span class="muted run-owner">{t.by(run.owner)}</span>}
        </div>
        <Progress run={run} isConnected={isConnected} />
        <Actions state={state} />
      </header>
      {run.hold && run.cells.open > 0 && (
        <Notice>
          {t.holds[run.hold]}
          {run.hold_reason && <span class="muted" lang="en">{run.hold_reason}</span>}
        </Notice>
      )}
      {run.error && <Notice kind="failed">{run.error}</Notice>}
    </>
  );
}
