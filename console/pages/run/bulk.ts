/** What a person does to many cells at once. v2 takes marks and re-runs one cell at a time. */
import { unwrap, v2 } from "../../api/client.ts";
import { type ApiError, asApiError } from "../../api/problem.ts";
import { describeFailure } from "../../kit/states.tsx";
import { showToast } from "../../kit/toast.tsx";
import { runTexts } from "./texts.ts";

/** Requests under way at the same time. */
const inFlightMax = 6;
/** Refusals after which the rest is not tried. */
const refusalsMax = 20;

/** Work on one cell of a run. */
type CellWork = (id: string, cell: number) => Promise<unknown>;

const pathOf = (id: string, cell: number) => ({ params: { path: { id, cell: String(cell) } } });

export const addFavourite: CellWork = (id, cell) =>
  unwrap(v2.PUT("/api/v2/tasks/{id}/cells/{cell}/favourite", pathOf(id, cell)));

export const removeFavourite: CellWork = (id, cell) =>
  unwrap(v2.DELETE("/api/v2/tasks/{id}/cells/{cell}/favourite", pathOf(id, cell)));

export const rerunCell: CellWork = (id, cell) =>
  unwrap(v2.POST("/api/v2/tasks/{id}/cells/{cell}/rerun", pathOf(id, cell)));

export const addTag = (tag: string): CellWork => (id, cell) =>
  unwrap(
    v2.PUT("/api/v2/tasks/{id}/cells/{cell}/tags/{tag}", {
      params: { path: { id, cell: String(cell), tag } },
    }),
  );

/** Waits as long as the server asks, then tries once more. */
async function patiently(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (caught) {
    const { retryAfterSeconds } = asApiError(caught);
    if (retryAfterSeconds === undefined) throw caught;
    await new Promise((resolve) => setTimeout(resolve, retryAfterSeconds * 1000 + Math.random() * 500));
    await work();
  }
}

/**
 * Does the work on each cell and says how it ended.
 *
 * @param onProgress called with the number of cells that are done
 */
export async function workOnCells(
  { id, cells, work, done, onProgress }: {
    id: string;
    cells: readonly number[];
    work: CellWork;
    done: (cells: number) => string;
    onProgress: (done: number) => void;
  },
): Promise<void> {
  const queue = [...cells];
  const refusals: ApiError[] = [];
  let finished = 0;
  const takeFromQueue = async () => {
    for (
      let cell = queue.shift();
      cell !== undefined && refusals.length < refusalsMax;
      cell = queue.shift()
    ) {
      const at = cell;
      await patiently(() => work(id, at)).then(() => finished++, (error) => refusals.push(asApiError(error)));
      onProgress(finished + refusals.length);
    }
  };
  await Promise.all(Array.from({ length: inFlightMax }, takeFromQueue));
  if (finished > 0) showToast({ text: done(finished) });
  if (refusals.length > 0) {
    const left = cells.length - finished;
    const reason = describeFailure(refusals[0]!);
    showToast({ text: runTexts.value.bulk.failed(left, cells.length, reason), kind: "failed" });
  }
}
