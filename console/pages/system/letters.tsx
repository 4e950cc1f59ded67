/** Dead letters: cells that failed for good, by cause and one by one, and drawing them again. */
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { filterOfCause } from "../../api/causes.ts";
import { usePolled } from "../../api/use_polled.ts";
import { Button } from "../../kit/button.tsx";
import { Link } from "../../kit/router.tsx";
import { Empty } from "../../kit/states.tsx";
import { ask } from "../../operators/ask.tsx";
import { List, Loaded } from "../../operators/parts.tsx";
import { operatorTexts } from "../../operators/texts.ts";

/** Dead letters that the page lists. The causes count all. */
const shownMax = 100;

type Cause = Schemas["DeadLetterCauses"]["items"][number];

/** Counts the cells whose cause contains a text, as v2 selects them. */
function countMatching(causes: readonly Cause[], cause: string): number {
  const wanted = cause.toLowerCase();
  return causes.reduce((sum, one) => sum + (one.cause.toLowerCase().includes(wanted) ? one.cells : 0), 0);
}

/** Loads dead letters and their causes. */
async function load(signal: AbortSignal) {
  const [{ items }, { items: causes }] = await Promise.all([
    unwrap(v2.GET("/api/v2/system/dead-letters", { params: { query: { limit: shownMax } }, signal })),
    unwrap(v2.GET("/api/v2/system/dead-letters/causes", { signal })),
  ]);
  return { items, causes };
}

interface AgainProps {
  cells: number;
  body: Schemas["ReplayIn"];
  /** Absent for everything that failed. */
  cause?: string;
  reload: () => void;
}

/** A button that asks, and draws cells again. */
function Again({ cells, body, cause, reload }: AgainProps) {
  const { system: t } = operatorTexts.value;
  const open = () =>
    ask({
      title: t.again(cells),
      text: (
        <>
          {cause && <bdi class="strong">{cause}</bdi>}
          <p>{t.againText}</p>
        </>
      ),
      run: () => unwrap(v2.POST("/api/v2/system/dead-letters/replay", { body })),
      then: reload,
    });
  return <Button icon="retry" onClick={open}>{cause ? t.draw : t.drawAll}</Button>;
}

export function Letters() {
  const { system: t, label } = operatorTexts.value;
  const letters = usePolled(load, [], 10);
  const { reload } = letters;
  return (
    <Loaded from={letters}>
      {({ items, causes }) =>
        items.length === 0 ? <Empty icon="check" title={t.noLetter} /> : (
          <>
            <List
              title={t.causes}
              rows={causes}
              columns={["cells", "cause", ["", ({ cause }) => {
                const part = filterOfCause(cause);
                const cells = countMatching(causes, part);
                return <Again cells={cells} body={{ cause: part }} cause={cause} reload={reload} />;
              }]]}
            />
            <div class="row">
              <Again cells={countMatching(causes, "")} body={{ all: true }} reload={reload} />
            </div>
            <List
              title={t.latest}
              rows={items}
              columns={[
                [
                  label("task_name"),
                  ({ task_id, task_name, cell }) => (
                    <Link to={`/runs/${task_id}${cell === null ? "" : `?cell=${cell}`}`}>{task_name}</Link>
                  ),
                ],
                "cell",
                "error",
                "attempt",
                "failed_at",
                ["", ({ task_id: task, cell, task_status, cause }) =>
                  cell !== null && task_status !== "cancelled" &&
                  <Again cells={1} body={{ cells: [{ task, cell }] }} cause={cause} reload={reload} />],
              ]}
            />
          </>
        )}
    </Loaded>
  );
}
