/** Judgements and pages when the browser keeps nothing, the session ends, the API is busy, or the run changes meanwhile. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { hasBrowser } from "../support/browser.ts";
import { password } from "../support/people.ts";
import { call } from "../v2/support/api.ts";
import { openConsole, openSignedIn, startConsole, submitSignIn, takePicture } from "./support/console.ts";
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

Deno.test({
  name: "without IndexedDB the page says that closing it loses what is not sent, and sends everything",
  ignore,
  async fn() {
    await using rig = await startWithRun();
    await using opened = await openConsole(rig, "/");
    const { page } = opened;
    await page.addInitScript(`Object.defineProperty(window, "indexedDB", { value: undefined })`);
    await page.goto(`${rig.api.origin}/console/runs/${rig.id}/rate`);
    await submitSignIn(page, "user@example.com");
    await waitForImage(page);
    await page.getByText("This browser keeps nothing for pages").waitFor();
    await page.context().setOffline(true);
    const first = await pressOn(page, "3");
    await waitForUnsent(page, 1);
    await takePicture(page, "outbox_volatile");
    await page.context().setOffline(false);
    const second = await pressOn(page, "4");
    await waitForUnsent(page, 0);
    await waitForHistory(rig, rig.id, [[first, 3], [second, 4]]);
  },
});

Deno.test({
  name:
    "a session that ends while one rates asks for the password, and what was rated meanwhile arrives once",
  ignore,
  async fn() {
    await using rig = await startWithRun();
    await using opened = await openSignedIn(rig, `/runs/${rig.id}/rate`);
    const { page } = opened;
    const first = await pressOn(page, "5");
    await waitForUnsent(page, 0);
    await rig.api.database.sql`update sessions set ended_at = now(), end_reason = 'signed_out'`;
    const second = await pressOn(page, "2");
    await page.locator("dialog [name=password]").waitFor();
    await takePicture(page, "outbox_expired");
    await page.locator("dialog [name=password]").fill(password);
    await page.keyboard.press("Enter");
    await waitForUnsent(page, 0);
    await waitForHistory(rig, rig.id, [[first, 5], [second, 2]]);
  },
});

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
    "a rating of an image that was drawn again, and of a run that was deleted, is refused in words and kept until dropped",
  ignore,
  async fn() {
    await using rig = await startWithRun();
    const { user } = rig.people;
    await using opened = await openSignedIn(rig, `/runs/${rig.id}/rate`);
    const { page } = opened;
    const seen = await waitForImage(page);
    await rig.api.database.sql`
      update subtasks set attempt = attempt + 1 where parent_task_id = ${rig.id} and cell = ${seen}`;
    await page.keyboard.press("4");
    await page.getByText("The image was drawn again after you had seen it.").waitFor();
    await takePicture(page, "outbox_refused");
    await page.getByRole("button", { name: "Drop" }).click();
    await waitForUnsent(page, 0);
    await page.context().setOffline(true);
    await pressOn(page, "3");
    assert.equal((await call(rig.api, user, "DELETE", `/tasks/${rig.id}`)).status, 204);
    const other = await addRun(rig, user, { axes });
    await page.context().setOffline(false);
    await page.getByText("This run does not exist any more").first().waitFor();
    // The next run that the person rates tells what became of it.
    await page.goto(`${rig.api.origin}/console/runs/${other}/rate`);
    await page.getByText("The run or the cell was deleted.").waitFor();
    await takePicture(page, "outbox_deleted");
  },
});
