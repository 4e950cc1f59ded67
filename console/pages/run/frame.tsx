/** What the pages of a run have in common: its head, its tabs, and what they show while it loads or is gone. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { LinkButton } from "../../kit/button.tsx";
import { Empty, FailureBox, Loading } from "../../kit/states.tsx";
import { common } from "../../kit/texts.ts";
import { RunHead, RunTabs } from "./head.tsx";
import type { Run, RunState } from "./run_state.ts";
import { runTexts } from "./texts.ts";

function Gone() {
  const t = runTexts.value;
  return <Empty title={t.gone} action={<LinkButton to="/">{t.back}</LinkButton>}>{t.goneText}</Empty>;
}

interface FrameProps {
  id: string;
  state: RunState;
  /** The open tab. */
  tab: string;
  class: string;
  /** Shown once the run and its cells are there. */
  children: (run: Run) => ComponentChildren;
}

export function RunFrame({ id, state, tab, class: name, children }: FrameProps) {
  const t = runTexts.value;
  const { run, failure, isGone, isReady } = state;
  const title = run.data?.name ?? t.loading;
  useEffect(() => {
    document.title = `${title} · ${common.value.product}`;
  }, [title]);
  const error = failure ?? run.error;
  return (
    <main class={name} id="content" tabIndex={-1}>
      {!run.data && <h1 class="sr-only">{t.loading}</h1>}
      {isGone ? <Gone /> : (
        <>
          <RunHead state={state} />
          <RunTabs id={id} current={tab} />
          {error && <FailureBox failure={error} retry={state.reload} />}
          {!error && (!isReady || !run.data) && <Loading lines={6} />}
          {isReady && run.data && children(run.data)}
        </>
      )}
    </main>
  );
}
