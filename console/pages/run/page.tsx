/** Page Run: the matrix of a run. */
import { useEffect } from "preact/hooks";
import { LinkButton } from "../../kit/button.tsx";
import { Empty, FailureBox, Loading } from "../../kit/states.tsx";
import { common } from "../../kit/texts.ts";
import { RunHead, RunTabs } from "./head.tsx";
import { MatrixPane } from "./pane.tsx";
import { useRun } from "./run_state.ts";
import { runTexts } from "./texts.ts";

function Gone() {
  const t = runTexts.value;
  return <Empty title={t.gone} action={<LinkButton to="/">{t.back}</LinkButton>}>{t.goneText}</Empty>;
}

export function RunPage({ id }: { id: string }) {
  const t = runTexts.value;
  const state = useRun(id);
  const { run, failure, isGone, isReady } = state;
  const title = run.data?.name ?? t.loading;
  useEffect(() => {
    document.title = `${title} · ${common.value.product}`;
  }, [title]);
  const error = failure ?? run.error;
  return (
    <main class="run" id="content" tabIndex={-1}>
      {!run.data && <h1 class="sr-only">{t.loading}</h1>}
      {isGone ? <Gone /> : (
        <>
          <RunHead state={state} />
          <RunTabs id={id} current="matrix" />
          {error && <FailureBox failure={error} retry={state.reload} />}
          {!error && (!isReady || !run.data) && <Loading lines={6} />}
          {isReady && run.data && <MatrixPane run={run.data} state={state} />}
        </>
      )}
    </main>
  );
}
