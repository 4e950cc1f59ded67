/** The details of a cell, beside the matrix. */
import { useEffect, useRef, useState } from "preact/hooks";
import { unwrap, v2 } from "../../api/client.ts";
import { useResource } from "../../api/use_resource.ts";
import { Button, IconButton } from "../../kit/button.tsx";
import { FailureBox, Loading } from "../../kit/states.tsx";
import { StateChip } from "../../kit/status.tsx";
import type { Cells } from "../../matrix/cells.ts";
import type { Matrix } from "../../matrix/geometry.ts";
import { safeUrl } from "../../matrix/images.ts";
import { attempt, isMember, mayChange, retryCells } from "./actions.ts";
import { addFavourite, removeFavourite, rerunCell } from "./bulk.ts";
import { type CellDetail, describeRatings } from "./cell_detail.ts";
import { Attempts, Comments, RequestParts, Versions } from "./drawer_parts.tsx";
import type { Run } from "./run_state.ts";
import { CellValues } from "./cell_values.tsx";
import { runTexts } from "./texts.ts";

interface DrawerProps {
  run: Run;
  matrix: Matrix;
  cells: Cells;
  cell: number;
  onClose: () => void;
}

/** An image, or why there is none. A failed load looks unlike a failed cell. */
export function Picture({ url, alt }: { url: string | null; alt: string }) {
  const t = runTexts.value.detail;
  const [failedUrl, setFailedUrl] = useState<string>();
  const safe = safeUrl(url);
  if (url === null) return <p class="muted drawer-none">{t.noImage}</p>;
  if (!safe) {
    return (
      <p class="drawer-none">
        {t.unsafe} <code>{url}</code>
      </p>
    );
  }
  if (failedUrl === safe) {
    return (
      <div class="drawer-none">
        <StateChip state="expired" />
        <p>{t.expired}</p>
        <a href={safe} target="_blank" rel="noopener noreferrer">{t.original}</a>
      </div>
    );
  }
  return (
    <a href={safe} target="_blank" rel="noopener noreferrer" class="drawer-image">
      <img src={safe} alt={alt} referrerpolicy="no-referrer" onError={() => setFailedUrl(safe)} />
    </a>
  );
}

/** Whether the cell is among one's favourites. v2 tells by the list of them from the cell on. */
function useFavourite(run: Run, cell: number) {
  const read = async (signal: AbortSignal) => {
    if (!isMember()) return false;
    const seen = new Set<number>();
    let cursor: string | undefined;
    do {
      const query = cursor === undefined ? { limit: 100 } : { limit: 100, cursor };
      const page = await unwrap(
        v2.GET("/api/v2/tasks/{id}/favourites", { params: { path: { id: run.id }, query }, signal }),
      );
      page.items.forEach((item) => seen.add(item.cell));
      cursor = page.next ?? undefined;
      if ((page.items.at(-1)?.cell ?? Infinity) >= cell) break;
    } while (cursor !== undefined);
    return seen.has(cell);
  };
  const favourite = useResource(read, [run.id, cell]);
  const toggle = async () => {
    const isOn = favourite.data === true;
    const isDone = await attempt(
      () => (isOn ? removeFavourite : addFavourite)(run.id, cell),
      () => undefined,
    );
    if (isDone) favourite.set(() => !isOn);
  };
  return { isFavourite: favourite.data === true, toggle };
}

function DrawerActions({ run, detail }: { run: Run; detail: CellDetail }) {
  const t = runTexts.value;
  const { cell, status } = detail;
  const { isFavourite, toggle } = useFavourite(run, cell);
  return (
    <div class="row">
      {isMember() && (
        <Button
          icon="star"
          aria-pressed={isFavourite}
          class={isFavourite ? "pressed" : ""}
          onClick={() => void toggle()}
        >
          {t.detail.favourite}
        </Button>
      )}
      {mayChange(run) && status === "failed" && (
        <Button
          icon="retry"
          onClick={() => void retryCells(run.id, { cells: [cell] })}
        >
          {t.detail.retry}
        </Button>
      )}
      {mayChange(run) && status === "completed" && (
        <Button
          icon="retry"
          onClick={() => void attempt(() => rerunCell(run.id, cell), () => t.bulk.done.rerun(1))}
        >
          {t.detail.rerun}
        </Button>
      )}
    </div>
  );
}

function Content({ run, detail }: { run: Run; detail: CellDetail }) {
  const t = runTexts.value.detail;
  return (
    <>
      <div class="row">
        <StateChip state={detail.status} />
        <span class="muted">{describeRatings(detail.ratings)}</span>
      </div>
      {detail.error && (
        <dl class="drawer-error">
          <dt>{t.error}</dt>
          <dd>
            <bdi>{detail.error}</bdi>
          </dd>
          {detail.cause && detail.cause !== detail.error && (
            <>
              <dt>{t.cause}</dt>
              <dd>
                <bdi>{detail.cause}</bdi>
              </dd>
            </>
          )}
        </dl>
      )}
      <DrawerActions run={run} detail={detail} />
      {detail.versions.length > 1 && <Versions detail={detail} />}
      <RequestParts detail={detail} />
      <Attempts detail={detail} />
      <Comments id={run.id} cell={detail.cell} />
    </>
  );
}

/** Counts the changes of a cell, so that its details are read again. */
function useChanges(cells: Cells, cell: number): number {
  const [count, setCount] = useState(0);
  useEffect(() =>
    cells.subscribe((changed) => {
      if (changed?.includes(cell)) setCount((before) => before + 1);
    }), [cells, cell]);
  return count;
}

export function Drawer({ run, matrix, cells, cell, onClose }: DrawerProps) {
  const t = runTexts.value.detail;
  const changes = useChanges(cells, cell);
  const latest = useRef<CellDetail | undefined>(undefined);
  const detail = useResource(
    (signal) =>
      unwrap(
        v2.GET("/api/v2/tasks/{id}/cells/{cell}", {
          params: { path: { id: run.id, cell: String(cell) } },
          signal,
        }),
      ),
    [run.id, cell, changes],
  );
  if (detail.data) latest.current = detail.data;
  // The details of the same cell stay while they are read again.
  const shown = latest.current?.cell === cell ? latest.current : undefined;
  return (
    <aside
      class="drawer"
      aria-label={`${t.title} ${cell}`}
      onKeyDown={(event) => event.key === "Escape" && onClose()}
    >
      <header class="drawer-head">
        <h2>
          {t.title} <span class="number">{cell}</span>
        </h2>
        <IconButton icon="close" label={t.close} onClick={onClose} />
      </header>
      <div class="drawer-content stack">
        {shown && <Picture key={shown.url} url={shown.url} alt={`${t.image} ${cell}`} />}
        <CellValues matrix={matrix} cell={cell} />
        {detail.error && <FailureBox failure={detail.error} retry={detail.reload} />}
        {!shown && detail.isLoading && <Loading />}
        {shown && <Content key={cell} run={run} detail={shown} />}
      </div>
    </aside>
  );
}
