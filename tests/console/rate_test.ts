/** Page Rate: keys, undo, texts, tags, and ratings that survive a lost network, a closed tab and an expired session. */
import assert from "node:assert/strict";
import { hasBrowser } from "../support/browser.ts";
import { waitFor } from "../support/wait.ts";
import { openSignedIn, startConsole, submitSignIn, takePicture } from "./support/console.ts";
import { checkLooks } from "./support/looks.ts";
import { pressOn, waitForHistory, waitForImage, waitForUnsent } from "./support/judging.ts";
import { addRun } from "./support/runs.ts";

const ignore = !hasBrowser;
const env = { RATE_LIMIT: "1000000" };
const axes = {
  prompt: ["a harbour at dawn", "雨中的寺庙"],
  cfg: ["4", "7"],
  seed: Array.from({ length: 10 }, (_, i) => String(i + 1)),
};
/** Messages of the browser about requests that are meant to fail. */
const isExpected = (text: string) => /40[13]|net::ERR/.test(text);

Deno.test({
  name: "keys rate, clear, undo, skip with a reason, write, tag and mark; the server has it all in order",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const { user } = rig.people;
    const { sql } = rig.api.database;
    const id = await addRun(rig, user, { name: "harbour and temple", axes });
    await using opened = await openSignedIn(rig, `/runs/${id}/rate`);
    const { page } = opened;
    const first = await pressOn(page, "4");
    const second = await pressOn(page, "2");
    await pressOn(page, "u");
    const again = await pressOn(page, "5");
    assert.equal(again, second, "undo goes back to the image");
    await page.keyboard.press("ArrowLeft");
    assert.equal(await waitForImage(page), second);
    await page.keyboard.press("0");
    await page.keyboard.press("ArrowRight");
    const third = await waitForImage(page, second);
    await page.keyboard.press("k");
    await page.keyboard.press("2");
    const fourth = await waitForImage(page, third);
    await page.keyboard.press("e");
    await page.locator("dialog textarea").fill("5 fingers, 1 too many");
    await page.keyboard.press("Control+Enter");
    await page.keyboard.press("t");
    await page.locator("dialog input").fill("hands 12");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "hands 12", pressed: true }).waitFor();
    await page.keyboard.press("Escape");
    await page.keyboard.press("f");
    await page.getByRole("button", { name: "Favourite", pressed: true }).waitFor();
    assert.equal(await waitForImage(page), fourth, "digits in texts rate nothing");
    await page.keyboard.press("b");
    await page.locator(".judge-places").waitFor({ state: "detached" });
    await pressOn(page, "3");
    const blind = await pressOn(page, "1");
    await waitForUnsent(page, 0);
    await takePicture(page, "rate_blind");
    await waitForHistory(rig, id, [
      [first, 4],
      [second, 2],
      [second, null],
      [second, 5],
      [second, null],
      [third, "The image is broken"],
      [fourth, 3],
      [blind, 1],
    ]);
    const [marks] = await sql`
      select
        (select array_agg(text) from evaluations where task_id = ${id}) as texts,
        (select array_agg(tag) from cell_tags where task_id = ${id}) as tags,
        (select count(*)::int from favourites where task_id = ${id}) as favourites,
        (select array_agg(s.cell) from ratings r join subtasks s on s.parent_task_id = ${id} and s.id = r.subtask_id
          where r.task_id = ${id} and r.blind) as blind`;
    assert.deepEqual({ ...marks }, {
      texts: ["5 fingers, 1 too many"],
      tags: ["hands 12"],
      favourites: 1,
      blind: [blind],
    });
    assert.deepEqual(opened.errors.filter((text) => !isExpected(text)), []);
  },
});

Deno.test({
  name: "30 ratings outlive a lost network and a closed tab: none is lost, none counts twice",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const id = await addRun(rig, rig.people.user, { axes });
    await using opened = await openSignedIn(rig, `/runs/${id}/rate`);
    const { page } = opened;
    const context = page.context();
    const given: [number, number][] = [];
    const rate = async (on: typeof page, count: number) => {
      for (let i = 0; i < count; i++) {
        const stars = 1 + given.length % 5;
        given.push([await pressOn(on, String(stars)), stars]);
      }
    };
    await rate(page, 10);
    await context.setOffline(true);
    await rate(page, 6);
    await page.locator(".judge-unsent").getByText("no connection").waitFor();
    await takePicture(page, "rate_offline");
    const late = given.at(-1)!;
    await page.keyboard.press("ArrowLeft");
    assert.equal(await waitForImage(page), late[0]);
    given.push([await pressOn(page, "1"), 1]);
    await page.close();
    await context.setOffline(false);
    const next = await context.newPage();
    await next.goto(`${rig.api.origin}/console/runs/${id}/rate`);
    await waitForImage(next);
    await rate(next, 13);
    await waitForUnsent(next, 0);
    await waitForHistory(rig, id, given);
    assert.equal(new Set(given.map(([cell]) => cell)).size, 29, "no image was offered twice");
  },
});

Deno.test({
  name: "a browser without IndexedDB says so, keeps ratings in memory over a lost network, and sends them",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const id = await addRun(rig, rig.people.user, { axes });
    await using opened = await openSignedIn(rig, "/");
    const { page } = opened;
    await page.addInitScript(`Object.defineProperty(window, "indexedDB", { value: undefined })`);
    await page.goto(`${rig.api.origin}/console/runs/${id}/rate`);
    await page.getByText("This browser keeps nothing for pages").waitFor();
    await waitForImage(page);
    await waitFor("the next images", () => rig.images.requests >= 8);
    await page.context().setOffline(true);
    const given: [number, number][] = [];
    for (const stars of [3, 5]) given.push([await pressOn(page, String(stars)), stars]);
    await waitForUnsent(page, 2);
    await takePicture(page, "rate_volatile");
    await page.context().setOffline(false);
    await waitForUnsent(page, 0);
    await waitForHistory(rig, id, given);
  },
});

Deno.test({
  name: "an expired session keeps what is not sent, and says so; another user sends nothing of it",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const { user } = rig.people;
    const { sql } = rig.api.database;
    const id = await addRun(rig, user, { axes });
    await using opened = await openSignedIn(rig, `/runs/${id}/rate`);
    const { page } = opened;
    const first = await pressOn(page, "4");
    await waitForUnsent(page, 0);
    await sql`update sessions set ended_at = now(), end_reason = 'logout' where user_id = ${user.id}`;
    const second = await pressOn(page, "2");
    const dialog = page.getByRole("dialog", { name: "Sign in again" });
    await dialog.getByText("1 judgement is not sent yet").waitFor();
    await takePicture(page, "rate_expired");
    await dialog.getByRole("button", { name: "Use another account" }).click();
    await page.locator("[name=email]").waitFor();
    await page.getByText("1 judgement is not sent yet").waitFor();
    await takePicture(page, "rate_signed_out");
    await submitSignIn(page, "other@example.com");
    await page.locator(".judge-stage").waitFor();
    await waitForHistory(rig, id, [[first, 4]]);
    await page.goto(`${rig.api.origin}/console`);
    await page.getByRole("button", { name: /Account/ }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await submitSignIn(page, "user@example.com");
    await waitForHistory(rig, id, [[first, 4], [second, 2]]);
    const raters = await sql`select distinct rater_id from ratings where task_id = ${id}`;
    assert.deepEqual(raters.map(({ rater_id }) => rater_id), [user.id]);
  },
});

Deno.test({
  name:
    "what the server will never accept is shown with its reason until the person drops it; a busy server is waited for",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const id = await addRun(rig, rig.people.user, { axes });
    await using opened = await openSignedIn(rig, `/runs/${id}/rate`);
    const { page } = opened;
    let answers = 0;
    await page.route("**/ratings", async (route) => {
      if (answers++ > 0) return await route.continue();
      await route.fulfill({
        status: 503,
        headers: { "retry-after": "1" },
        json: { type: "urn:problem:busy" },
      });
    });
    const redrawn = await waitForImage(page);
    await rig.api.database.sql`
      update subtasks set attempt = attempt + 1 where parent_task_id = ${id} and cell = ${redrawn}`;
    await page.keyboard.press("4");
    const fine = await waitForImage(page, redrawn);
    await page.keyboard.press("3");
    await page.getByText("The server did not accept 1 judgement").waitFor();
    await page.getByText("The image was drawn again after you had seen it.").waitFor();
    assert.equal(
      await page.locator(".judge-cell").getAttribute("href"),
      `/console/runs/${id}?cell=${redrawn}`,
    );
    await takePicture(page, "rate_refused");
    await waitForHistory(rig, id, [[fine, 3]]);
    await page.getByRole("button", { name: "Drop" }).click();
    await page.locator(".judge-cell").waitFor({ state: "detached" });
    assert.ok(answers > 1);
  },
});

Deno.test({
  name: "two tabs do not send twice",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const id = await addRun(rig, rig.people.user, { axes });
    await using opened = await openSignedIn(rig, `/runs/${id}/rate`);
    const { page } = opened;
    await waitForImage(page);
    const context = page.context();
    const second = await context.newPage();
    await second.goto(`${rig.api.origin}/console/runs/${id}/rate`);
    await waitForImage(second);
    await context.setOffline(true);
    const given: [number, number][] = [];
    for (const stars of [1, 2, 3]) given.push([await pressOn(page, String(stars)), stars]);
    await waitForUnsent(second, 3);
    await context.setOffline(false);
    await Promise.all([waitForUnsent(page, 0), waitForUnsent(second, 0)]);
    await waitForHistory(rig, id, given);
  },
});

Deno.test({
  name:
    "a rating is noted for the next page in the moment of the key, so that a tab closed at once leaves it to be sent",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const id = await addRun(rig, rig.people.user, { axes });
    await using opened = await openSignedIn(rig, `/runs/${id}/rate`);
    const { page } = opened;
    await waitForImage(page);
    const noted = await page.evaluate(`
      document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "3", bubbles: true }));
      localStorage.getItem("contactsheet unsent")`);
    assert.equal(noted, "1");
    await waitForUnsent(page, 0);
  },
});

Deno.test({
  name:
    "the page tells how many more images decide which of the two best values is better, but not to who rates blind",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const { user, other } = rig.people;
    const prompts = Array.from({ length: 8 }, (_, i) => `scene ${i + 1}`);
    // Of both values, 7 is better in five scenes and worse in three. Cells: two of cfg 4, two of cfg 7, scene by scene.
    const id = await addRun(rig, user, {
      axes: { prompt: prompts, cfg: ["4", "7"], seed: ["1", "2"] },
      raters: [other],
      starsOf: (cell) => Math.floor(cell / 2) % 2 === 0 ? 3 : Math.floor(cell / 4) < 5 ? 4 : 2,
    });
    await using opened = await openSignedIn(rig, `/runs/${id}/rate`);
    const { page } = opened;
    const budget = page.getByText(/^About [\d,]+ more images decide cfg 7 against cfg 4\.$/);
    await budget.waitFor();
    await takePicture(page, "rate_budget");
    await page.keyboard.press("b");
    await budget.waitFor({ state: "detached" });
  },
});

Deno.test({
  name: "the page is accessible and fits at all widths, in both themes and languages",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const id = await addRun(rig, rig.people.user, {
      name: "harbour and temple",
      axes,
      states: { pending: 0.2 },
    });
    await using opened = await openSignedIn(rig, `/runs/${id}/rate`);
    const { page } = opened;
    for (const key of ["4", "2", "5"]) await pressOn(page, key);
    await checkLooks(page, "rate", async () => void await waitForImage(page));
    await page.setViewportSize({ width: 1440, height: 900 });
    for (const key of ["k", "e", "t"]) {
      await page.keyboard.press(key);
      await page.locator("dialog").waitFor();
      await takePicture(page, `rate_dialog_${key}`);
      await page.keyboard.press("Escape");
    }
  },
});
