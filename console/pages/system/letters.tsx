/** Dead letters: cells that failed for good, by cause and one by one, and drawing them again. */
import { useState } from "preact/hooks";
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { usePolled } from "../../api/use_polled.ts";
import { Button } from "../../kit/button.tsx";
import { Link } from "../../kit/router.tsx";
import { Empty } from "../../kit/states.tsx";
import { common } from "../../kit/texts.ts";
import { ask } from "../../operators/ask.tsx";
import { Loaded, TableSection } from "../../operators/parts.tsx";
import { operatorTexts } from "../../operators/texts.ts";

/** Length up to which v2 takes a cause. It selects causes that contain the text. */
const causeMax = 500;

type Cause = Schemas["DeadLetterCauses"]["items"][number];

/** Counts the cells whose cause contains a text, as v2 selects them. */
function countMatching(causes: readonly Cause[], cause: string): number {
  const wanted = cause.toLowerCase();
  return causes.reduce((sum, one) => sum + (one.cause.toLowerCase().includes(wanted) ? one.cells : 0), 0);
}

/** Loads dead letters and their causes. */
async function load(limit: number, signal: AbortSignal) {
  const [{ items, next }, { items: causes }] = await Promise.all([
    unwrap(v2.GET("/api/v2/system/dead-letters", { params: { query: { limit } }, signal })),
    unwrap(v2.GET("/api/v2/system/dead-letters/causes", { signal })),
  ]);
  return { items, next, causes };
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
  const [limit, setLimit] = useState(50);
  const letters = usePolled((signal) => load(limit, signal), [limit], 10);
  const { reload } = letters;
  return (
    <Loaded from={letters}>
      {({ items, next, causes }) =>
        items.length === 0 ? <Empty icon="check" title={t.noLetter} /> : (
          <>
            <TableSection
              title={t.causes}
              rows={causes}
              columns={["cells", "cause", ["", ({ cause }) => {
                const part = cause.slice(0, causeMax);
                const cells = countMatching(causes, part);
                return <Again cells={cells} body={{ cause: part }} cause={cause} reload={reload} />;
              }]]}
            />
            <div class="row">
              <Again cells={countMatching(causes, "")} body={{ all: true }} reload={reload} />
            </div>
            <TableSection
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
            {next && limit < 200 && <Button onClick={() => setLimit(200)}>{common.value.more}</Button>}
          </>
        )}
    </Loaded>
  );
}
