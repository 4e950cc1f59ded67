/** Page Pairs: votes by keys, undo, and votes that survive a lost network. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { hasBrowser } from "../support/browser.ts";
import { waitFor } from "../support/wait.ts";
import { type ConsoleRig, openSignedIn, startConsole } from "./support/console.ts";
import { checkLooks } from "./support/looks.ts";
import { waitForUnsent } from "./support/judging.ts";
import { addRun } from "./support/runs.ts";

const ignore = !hasBrowser;
const env = { RATE_LIMIT: "1000000" };
const axes = { prompt: ["a harbour at dawn", "雨中的寺庙"], cfg: ["4", "7", "11"], seed: ["1", "2"] };

/** Waits until both images of a pair are visible, another pair than before. @returns its key */
async function waitForPair(page: Page, before?: string): Promise<string> {
  const stage = page.locator('.judge-stage[data-state="ready"][data-pair]');
  return await waitFor("a pair", async () => {
    const key = await stage.getAttribute("data-pair", { timeout: 1000 }).catch(() => null);
    return key === before ? undefined : key ?? undefined;
  });
}

/** Presses a key that leads to another pair. @returns the pair that was visible when it was pressed */
async function pressOn(page: Page, key: string): Promise<string> {
  const pair = await waitForPair(page);
  await page.keyboard.press(key);
  await waitForPair(page, pair);
  return pair;
}

/** Reads the votes in order: the pair and the outcome. */
async function readVotes({ api }: ConsoleRig, task: string): Promise<[string, string][]> {
  const rows = await api.database.sql<{ pair: string; outcome: string }[]>`
    select v.outcome, least(l.ref, r.ref) || ',' || greatest(l.ref, r.ref) as pair
    from votes v
    cross join lateral (
      select s.cell || '.' || v.left_version as ref from subtasks s where s.parent_task_id = ${task} and s.id = v.left_id
    ) l
    cross join lateral (
      select s.cell || '.' || v.right_version as ref from subtasks s where s.parent_task_id = ${task} and s.id = v.right_id
    ) r
    where v.task_id = ${task}
    order by v.id`;
  return rows.map(({ pair, outcome }) => [pair.split(",").sort().join(), outcome]);
}

Deno.test({
  name: "arrows vote, k skips, u takes the last vote back; votes outlive a lost network and a closed tab",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const id = await addRun(rig, rig.people.user, { axes });
    await using opened = await openSignedIn(rig, `/runs/${id}/pairs?axis=v1`);
    const { page } = opened;
    const left = await pressOn(page, "ArrowLeft");
    const right = await pressOn(page, "ArrowRight");
    const tie = await pressOn(page, "ArrowDown");
    await waitForUnsent(page, 0);
    await page.keyboard.press("u");
    await waitFor("the pair before", async () => await waitForPair(page) === tie);
    await pressOn(page, "k");
    await waitForUnsent(page, 0);
    await page.context().setOffline(true);
    const kept = await pressOn(page, "ArrowLeft");
    await pressOn(page, "ArrowRight");
    await page.keyboard.press("u");
    await waitForUnsent(page, 3);
    await page.close();
    await page.context().setOffline(false);
    const next = await page.context().newPage();
    await next.goto(`${rig.api.origin}/console`);
    const expected = [[left, "left"], [right, "right"], [tie, "skip"], [kept, "left"]];
    await waitFor("the votes", async () => {
      const votes = await readVotes(rig, id);
      return votes.length === expected.length && JSON.stringify(votes) === JSON.stringify(expected);
    }).catch(() => {});
    assert.deepEqual(await readVotes(rig, id), expected);
  },
});

Deno.test({
  name: "the page is accessible and fits at all widths, in both themes and languages",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const id = await addRun(rig, rig.people.user, { name: "harbour and temple", axes });
    await using opened = await openSignedIn(rig, `/runs/${id}/pairs`);
    const { page } = opened;
    await waitForPair(page);
    await checkLooks(page, "pairs", async () => void await waitForPair(page));
  },
});
