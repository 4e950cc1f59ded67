/** Page Run: the matrix of a run. */
import { RunFrame } from "./frame.tsx";
import { MatrixPane } from "./pane.tsx";
import { useRun } from "./run_state.ts";

export function RunPage({ id }: { id: string }) {
  const state = useRun(id);
  return (
    <RunFrame id={id} state={state} tab="matrix" class="run">
      {(run) => <MatrixPane run={run} state={state} />}
    </RunFrame>
  );
}
