/** Page Runs: the runs of everyone, newest first. */
import { unwrap, v2 } from "../../api/client.ts";
import { useResource } from "../../api/use_resource.ts";
import { Page } from "../../kit/page.tsx";
import { Empty, FailureBox, Loading } from "../../kit/states.tsx";
import { StateBar } from "../../kit/status.tsx";
import { common } from "../../kit/texts.ts";
import { runsTexts } from "./texts.ts";

export function RunsPage() {
  const t = runsTexts.value;
  const runs = useResource(
    (signal) => unwrap(v2.GET("/api/v2/tasks", { params: { query: { limit: 30 } }, signal })),
    [],
  );
  const items = runs.data?.items ?? [];
  return (
    <Page title={t.title}>
      {runs.error && <FailureBox failure={runs.error} retry={runs.reload} />}
      {!runs.data && runs.isLoading && <Loading lines={6} />}
      {runs.data && items.length === 0 && <Empty icon="runs" title={t.empty}>{t.emptyText}</Empty>}
      <ul class="stack">
        {items.map(({ id, name, cells }) => (
          <li key={id} class="panel stack">
            <div class="row">
              <strong class="grow">{name}</strong>
              {common.value.cells(cells.total)}
            </div>
            <StateBar
              counts={{
                completed: cells.completed,
                failed: cells.failed,
                cancelled: cells.cancelled,
                pending: cells.open,
              }}
              total={cells.total}
            />
          </li>
        ))}
      </ul>
    </Page>
  );
}
