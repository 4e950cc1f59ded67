/** The link of a share: what it opens without an account, and how it ends. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { hasBrowser } from "../support/browser.ts";
import { waitForEqual } from "../support/wait.ts";
import { call } from "../v2/support/api.ts";
import { type ConsoleRig, openConsole, openSignedIn, startConsole, takePicture } from "./support/console.ts";
import { checkLooks } from "./support/looks.ts";
import { addRun } from "./support/runs.ts";

const ignore = !hasBrowser;

/** Starts a console with one run. */
async function startWithRun() {
  const rig = await startConsole();
  const { user } = rig.people;
  const id = await addRun(rig, user, {
    name: "harbour and temple",
    axes: { prompt: ["a harbour", "a temple"], seed: ["1", "2", "3"] },
    raters: [user],
    starsOf: () => 4,
  });
  return Object.assign(rig, { id });
}

/** Creates a share of a run. */
async function share(rig: ConsoleRig & { id: string }, mode: "read" | "rate", blind = false) {
  const { status, body } = await call(rig.api, rig.people.user, "POST", `/tasks/${rig.id}/shares`, {
    mode,
    blind,
  });
  assert.equal(status, 201);
  return body as { id: string; token: string };
}

/** Returns all places in which a script could find a token. */
const readPlaces = (page: Page): Promise<string> =>
  page.evaluate<string>(
    "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href, history.state])",
  );

const waitForMatrix = (page: Page) => page.locator(".matrix-node").first().waitFor({ state: "attached" });

Deno.test({
  name: "a link opens its run without an account, and leaves its token nowhere; revoked, it says so",
  ignore,
  async fn() {
    await using rig = await startWithRun();
    const { id: shareId, token } = await share(rig, "read");
    await using opened = await openConsole(rig, `/shared#${token}`);
    const { page } = opened;
    await waitForMatrix(page);
    assert.equal(new URL(page.url()).pathname, `/console/runs/${rig.id}`);
    assert.ok(!(await readPlaces(page)).includes(token.slice(-12)), "the token is nowhere");
    const views = page.getByRole("navigation", { name: "Views of this run" }).getByRole("link");
    await waitForEqual(() => views.allInnerTexts(), ["Matrix", "Results"]);
    assert.equal(await page.getByRole("link", { name: "Runs" }).count(), 0, "no menu of pages");
    await page.locator(".run-actions .menu button").click();
    await page.getByRole("menuitem").first().waitFor();
    assert.deepEqual(
      (await page.getByRole("menuitem").allInnerTexts()).filter((name) => !name.startsWith("Export")),
      [],
      "nothing to change",
    );
    await page.keyboard.press("Escape");
    await takePicture(page, "shared");
    await call(rig.api, rig.people.user, "DELETE", `/tasks/${rig.id}/shares/${shareId}`);
    await page.locator(".matrix").focus();
    for (const key of ["ArrowRight", "Enter"]) await page.keyboard.press(key);
    await page.getByRole("heading", { name: "This link has ended" }).waitFor();
    await takePicture(page, "shared_ended");
    await page.getByRole("button", { name: "Sign in instead" }).click();
    await page.locator("[name=email]").waitFor();
  },
});

Deno.test({
  name:
    "after a reload the link has to be opened again; another link in the same tab opens; a wrong one is refused",
  ignore,
  async fn() {
    await using rig = await startWithRun();
    const { token } = await share(rig, "read");
    await using opened = await openConsole(rig, "/shared#share_unknown");
    const { page } = opened;
    await page.getByRole("heading", { name: "This link has ended" }).waitFor();
    assert.ok(!page.url().includes("#share_unknown"));
    await page.evaluate(`location.hash = "${token}"`);
    await waitForMatrix(page);
    await page.reload();
    await page.getByRole("heading", { name: "Open the link again" }).waitFor();
    await checkLooks(page, "shared_reloaded", () => page.locator(".empty").waitFor());
  },
});

Deno.test({
  name:
    "a blind link has no results; in a browser with a session the link is used, and the session goes on elsewhere",
  ignore,
  async fn() {
    await using rig = await startWithRun();
    const { token } = await share(rig, "read", true);
    await using opened = await openSignedIn(rig, `/runs/${rig.id}`, { kind: "other" });
    const { page } = opened;
    const another = await page.context().newPage();
    await another.goto(`${rig.api.origin}/console/shared#${token}`);
    const tabs = another.getByRole("navigation", { name: "Views of this run" }).getByRole("link");
    await tabs.first().waitFor();
    assert.deepEqual(await tabs.allInnerTexts(), ["Matrix"]);
    assert.equal(new URL(another.url()).pathname, `/console/runs/${rig.id}`);
    await page.reload();
    await page.locator(".account-name").waitFor();
    await page.getByRole("link", { name: "Runs" }).first().waitFor();
  },
});
