/** Judgements and pages when the API is busy, or when the run is deleted meanwhile. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { hasBrowser } from "../support/browser.ts";
import { call } from "../v2/support/api.ts";
import { openSignedIn, startConsole, takePicture } from "./support/console.ts";
import { pressOn, waitForHistory, waitForImage, waitForUnsent } from "./support/judging.ts";
import { addRun } from "./support/runs.ts";

const ignore = !hasBrowser;
const axes = { prompt: ["a harbour", "a temple"], seed: ["1", "2", "3", "4", "5"] };

async function startWithRun() {
  const rig = await startConsole({ env: { RATE_LIMIT: "1000000" } });
  return Object.assign(rig, { id: await addRun(rig, rig.people.user, { axes }) });
}

/** Answers the next `times` requests of a path with a status that asks to wait for a second. */
async function putOff(page: Page, path: RegExp, status: 429 | 503, times: number): Promise<() => number> {
  let count = 0;
  await page.route(path, async (route) => {
    if (count >= times) return await route.continue();
    count++;
    const code = status === 429 ? "too_many_requests" : "busy";
    await route.fulfill({
      status,
      headers: { "retry-after": "1", "content-type": "application/problem+json" },
      body: JSON.stringify({ type: `urn:contactsheet:problem:${code}`, status, detail: "later" }),
    });
  });
  return () => count;
}

for (const status of [429, 503] as const) {
  Deno.test({
    name:
      `an API that answers ${status} is asked again after the time it names: lists appear, ratings arrive once`,
    ignore,
    async fn() {
      await using rig = await startWithRun();
      await using opened = await openSignedIn(rig, "/");
      const { page } = opened;
      const reads = await putOff(page, /\/api\/v2\/tasks\/[^/]+$/, status, 2);
      const writes = await putOff(page, /\/api\/v2\/tasks\/[^/]+\/ratings/, status, 2);
      await page.goto(`${rig.api.origin}/console/runs/${rig.id}/rate`);
      const first = await pressOn(page, "1");
      await page.getByText("the server is busy; sent again soon").waitFor();
      await takePicture(page, `outbox_${status}`);
      await waitForUnsent(page, 0);
      await waitForHistory(rig, rig.id, [[first, 1]]);
      assert.deepEqual([reads(), writes()], [2, 2]);
    },
  });
}

Deno.test({
  name:
    "a rating of a run that was deleted meanwhile is kept, and the next run that is rated tells what became of it",
  ignore,
  async fn() {
    await using rig = await startWithRun();
    const { user } = rig.people;
    await using opened = await openSignedIn(rig, `/runs/${rig.id}/rate`);
    const { page } = opened;
    await waitForImage(page);
    await page.context().setOffline(true);
    await pressOn(page, "3");
    assert.equal((await call(rig.api, user, "DELETE", `/tasks/${rig.id}`)).status, 204);
    const other = await addRun(rig, user, { axes });
    await page.context().setOffline(false);
    await page.getByText("This run does not exist any more").first().waitFor();
    await page.goto(`${rig.api.origin}/console/runs/${other}/rate`);
    await page.getByText("The run or the cell was deleted.").waitFor();
    await takePicture(page, "outbox_deleted");
  },
});
