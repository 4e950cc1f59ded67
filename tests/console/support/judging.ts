/** Judging in the browser: waits for images, and compares what a person did with what the server has. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { waitFor } from "../../support/wait.ts";
import type { ConsoleRig } from "./console.ts";

/** Waits until an image to rate is visible, another one than before. @returns its cell */
export async function waitForImage(page: Page, before?: number): Promise<number> {
  const stage = page.locator('.judge-stage[data-state="ready"][data-cell]');
  return await waitFor("an image to rate", async () => {
    const text = await stage.getAttribute("data-cell", { timeout: 1000 }).catch(() => null);
    return text === null || Number(text) === before ? undefined : { cell: Number(text) };
  }).then(({ cell }) => cell);
}

/** Presses a key that leads to another image. @returns the cell that was visible when it was pressed */
export async function pressOn(page: Page, key: string): Promise<number> {
  const cell = await waitForImage(page);
  await page.keyboard.press(key);
  await waitFor(
    "the next image",
    async () => await page.locator(".judge-stage").getAttribute("data-cell") !== String(cell),
  );
  return cell;
}

/** Waits until a number of judgements is not sent. */
export const waitForUnsent = (page: Page, count: number): Promise<void> =>
  page.locator(`[data-unsent="${count}"]`).waitFor();

/** Reads the changes of a person's ratings, in order: `[cell, stars or reason or null]`. */
export async function readRatingHistory(
  { api }: Pick<ConsoleRig, "api">,
  task: string,
): Promise<[number, number | string | null][]> {
  const rows = await api.database.sql<{ cell: number; stars: number | null; skipped: string | null }[]>`
    select s.cell, h.stars, h.skipped
    from rating_history h
    join subtasks s on s.parent_task_id = h.task_id and s.id = h.subtask_id
    where h.task_id = ${task}
    order by h.id`;
  return rows.map(({ cell, stars, skipped }) => [cell, stars ?? skipped]);
}

/** Waits until the server has exactly these changes, in this order. */
export async function waitForHistory(
  rig: Pick<ConsoleRig, "api">,
  task: string,
  expected: readonly (readonly [number, number | string | null])[],
): Promise<void> {
  await waitFor(
    "the ratings on the server",
    async () => (await readRatingHistory(rig, task)).length >= expected.length,
  ).catch(() => {});
  assert.deepEqual(await readRatingHistory(rig, task), expected);
}
