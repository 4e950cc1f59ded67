/** Failed cells by cause, and retrying those of one cause. */
import { useState } from "preact/hooks";
import { filterOfCause } from "../../api/causes.ts";
import { Button } from "../../kit/button.tsx";
import { formatNumber } from "../../text/format.ts";
import { mayChange, retryCells } from "./actions.ts";
import type { Run } from "./run_state.ts";
import { runTexts } from "./texts.ts";

function Cause(
  { run, cause, cells, reload }: { run: Run; cause: string; cells: number; reload: () => void },
) {
  const [isBusy, setBusy] = useState(false);
  const retry = async () => {
    setBusy(true);
    await retryCells(run.id, { cause: filterOfCause(cause) });
    setBusy(false);
    reload();
  };
  return (
    <li class="failures-cause">
      <span class="number failures-count">{formatNumber(cells)}</span>
      <bdi class="grow failures-text">{cause}</bdi>
      {mayChange(run) && run.status !== "cancelled" && (
        <Button
          icon="retry"
          isBusy={isBusy}
          onClick={() => void retry()}
        >
          {runTexts.value.retryThese(cells)}
        </Button>
      )}
    </li>
  );
}

export function Failures({ run, reload }: { run: Run; reload: () => void }) {
  if (run.errors.length === 0) return null;
  const t = runTexts.value;
  return (
    <details class="failures">
      <summary>
        <span>{t.errors(run.cells.failed)}</span>
        <bdi class="muted failures-first">{run.errors[0]!.cause}</bdi>
      </summary>
      <ul aria-label={t.errorsTitle}>
        {run.errors.map(({ cause, cells }) => (
          <Cause key={cause} run={run} cause={cause} cells={cells} reload={reload} />
        ))}
      </ul>
    </details>
  );
}
