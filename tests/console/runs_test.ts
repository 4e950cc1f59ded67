/** The page Runs: the list, live, with its actions. */
import assert from "node:assert/strict";
import { hasBrowser } from "../support/browser.ts";
import { waitFor, waitForEqual } from "../support/wait.ts";
import { call } from "../v2/support/api.ts";
import { type ConsoleRig, openSignedIn, startConsole, takePicture } from "./support/console.ts";
import { checkLooks } from "./support/looks.ts";
import { addRun } from "./support/runs.ts";

const ignore = !hasBrowser;
const values = (count: number, text: string) => Array.from({ length: count }, (_, i) => `${text} ${i + 1}`);

async function addRuns(rig: ConsoleRig) {
  const { user, other, admin } = rig.people;
  await addRun(rig, other, {
    name: "Character sheet, spring outfits, second pass with a softer light and a longer name than fits",
    axes: { prompt: values(9, "outfit"), seed: values(6, "") },
    states: { failed: 0.04 },
    minutesAgo: 26 * 60,
    raters: [user, admin, other, rig.people.manager],
    starsOf: (cell, rater) => cell % 3 === rater % 3 ? 1 + cell % 5 : undefined,
  });
  await addRun(rig, user, {
    name: "城市夜景 · 采样步数对比",
    axes: { prompt: values(12, "夜景"), steps: ["20", "28", "36"], seed: values(8, "") },
    states: { failed: 0.02, cancelled: 0.5 },
    minutesAgo: 5 * 60,
  });
  await addRun(rig, other, {
    name: "imported: old grid",
    axes: { prompt: values(3, "p") },
    states: { pending: 1 },
    hold: "import",
  });
  await addRun(rig, user, {
    name: "cfg against steps, lumina",
    axes: {
      prompt: values(6, "harbour"),
      cfg: ["3", "4", "5", "7"],
      steps: ["20", "30"],
      seed: values(63, ""),
    },
    states: { failed: 0.05, pending: 0.55, processing: 0.01 },
    minutesAgo: 12,
  });
  return await addRun(rig, user, {
    name: "harbour and temple",
    axes: { prompt: ["a quiet harbour at dawn", "a moonlit temple, night"], seed: values(6, "") },
    states: { pending: 0.9, processing: 0 },
    minutesAgo: 1,
  });
}

Deno.test({
  name: "the runs are shown with their progress, in all looks, without a violation of accessibility",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openSignedIn(rig);
    const { page, errors } = opened;
    await page.getByText("No runs yet").waitFor();
    await takePicture(page, "runs_empty");
    await addRuns(rig);
    await page.getByText("harbour and temple").waitFor();
    await page.locator(".live-sign.on").waitFor();
    const ready = async () => {
      await page.getByText("harbour and temple").waitFor();
      await page.locator(".live-sign.on").waitFor();
      await page.locator(".strip-frame img").nth(9).waitFor();
    };
    page.setDefaultTimeout(60_000);
    await checkLooks(page, "runs", ready);
    assert.deepEqual(errors.filter((text) => !text.includes("401")), []);
  },
});

Deno.test({
  name:
    "a run is paused, resumed and cancelled with time to take it back, and its cells change on the page by themselves",
  ignore,
  async fn() {
    await using rig = await startConsole();
    const { user } = rig.people;
    const id = await addRuns(rig);
    await using opened = await openSignedIn(rig);
    const { page } = opened;
    const row = page.locator(".runs-row", { hasText: "harbour and temple" });
    const act = async (name: string) => {
      await row.getByRole("button", { name: /Actions/ }).click();
      await page.getByRole("menuitem", { name }).click();
    };
    await act("Pause");
    await row.getByText("paused", { exact: true }).waitFor();
    await act("Resume");
    await row.getByText("being drawn").waitFor();

    await act("Cancel the run");
    await page.getByRole("button", { name: /Undo/ }).click();
    const statusOf = async () => (await call(rig.api, user, "GET", `/tasks/${id}`)).body.status;
    await page.waitForTimeout(6_000);
    assert.equal(await statusOf(), "processing", "taken back in time");
    await act("Cancel the run");
    await waitFor("the run to be cancelled", async () => await statusOf() === "cancelled");
    await row.getByText("cancelled", { exact: true }).first().waitFor();

    // Another person's run, and what a guest may do.
    const foreign = page.locator(".runs-row", { hasText: "imported: old grid" });
    await foreign.getByRole("button", { name: /Actions/ }).click();
    await waitForEqual(() => page.getByRole("menuitem").allInnerTexts(), ["New run from this one"]);
  },
});

Deno.test({
  name: "the list is searched and filtered, and the address keeps both",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await addRuns(rig);
    await using opened = await openSignedIn(rig, "/?mine=1");
    const { page } = opened;
    const names = page.locator(".runs-name");
    await page.getByText("harbour and temple").waitFor();
    await waitForEqual(() => names.count(), 3);
    await page.getByLabel("State").selectOption("open");
    await waitForEqual(() => names.count(), 2);
    await page.keyboard.press("Escape");
    await page.getByRole("searchbox").fill("cfg");
    await waitForEqual(() => names.count(), 1);
    await waitFor("the filters in the address", () => /\?mine=1&state=open&q=cfg$/.test(page.url()), 20_000);
    await page.getByRole("searchbox").fill("<b>no such</b>");
    await page.getByText("No run matches").waitFor();
    await page.getByRole("button", { name: "Show all runs" }).click();
    await waitForEqual(() => names.count(), 5);
  },
});
