/** The matrix of a run: names, keys, selection, address, live changes, images and texts of users. */
import assert from "node:assert/strict";
import type { Page, Request } from "playwright-core";
import { hasBrowser } from "../support/browser.ts";
import { waitFor, waitForEqual } from "../support/wait.ts";
import { call } from "../v2/support/api.ts";
import { type ConsoleRig, openSignedIn, startConsole, takePicture } from "./support/console.ts";
import { checkLooks } from "./support/looks.ts";
import { addRun } from "./support/runs.ts";

const ignore = !hasBrowser;
const env = { RATE_LIMIT: "1000000" };

const axes = {
  prompt: ["a cat", "a dog", "雨中的寺庙", "an owl"],
  cfg: ["4", "7"],
  seed: Array.from({ length: 12 }, (_, i) => String(i + 1)),
};

/** Waits until the matrix has names for its cells. */
async function waitForCells(page: Page): Promise<void> {
  await page.locator(".matrix-node").first().waitFor({ state: "attached" });
}

const namesOf = (page: Page): Promise<string[]> =>
  page.evaluate<string[]>(
    `[...document.querySelectorAll(".matrix-node")].map((node) => node.getAttribute("aria-label"))`,
  );

/** Waits until a cell has a name that matches. */
const waitForName = (page: Page, pattern: RegExp): Promise<string> =>
  waitFor(
    `a cell named ${pattern}`,
    async () => (await namesOf(page)).find((name) => pattern.test(name)),
  );

/** Counts requests to v2 whose path matches. */
function countRequests(page: Page, pattern: RegExp): () => number {
  let count = 0;
  page.on("request", (request) => {
    if (pattern.test(request.url())) count++;
  });
  return () => count;
}

/** Returns the requests under way whose address begins with `origin`. */
function trackRequests(page: Page, origin: string): Set<Request> {
  const inFlight = new Set<Request>();
  page.on("request", (request) => {
    if (request.url().startsWith(origin)) inFlight.add(request);
  });
  page.on("requestfinished", (request) => inFlight.delete(request));
  page.on("requestfailed", (request) => inFlight.delete(request));
  return inFlight;
}

const isExpected = (text: string) => /40[13]|404|net::ERR/.test(text);

Deno.test({
  name:
    "a screen reader hears each cell; the keyboard moves, selects, opens, zooms and swaps; the address holds the view",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const { user } = rig.people;
    const id = await addRun(rig, user, {
      axes,
      states: { failed: 0.1, pending: 0.1, cancelled: 0.05, processing: 0.05 },
      raters: [user],
      starsOf: (cell) => cell % 2 === 0 ? 4 : undefined,
    });
    await using opened = await openSignedIn(rig, `/runs/${id}`);
    const { page } = opened;
    await waitForName(page, /^row a cat, column seed 3, completed, rated 4$/);
    const requests = countRequests(page, /api\/v2/);
    await page.locator(".matrix").focus();
    for (const key of ["ArrowRight", "ArrowRight", "ArrowDown"]) await page.keyboard.press(key);
    await waitFor("the cell that the keys moved to", async () => {
      const active = await page.locator(".matrix").getAttribute("aria-activedescendant");
      const name = await page.locator(`[id="${active}"]`).getAttribute("aria-label");
      return /^row a dog, column seed 2/.test(name ?? "");
    }, 20_000);
    await page.keyboard.press(" ");
    await page.keyboard.press("Shift+ArrowRight");
    await page.getByText("2 cells selected").waitFor();
    const swapAt = requests();
    await page.keyboard.press("s");
    await waitForName(page, /^row seed 3, column a cat, completed, rated 4$/);
    assert.equal(requests(), swapAt, "swapping the axes needs no request");
    await waitFor("the axes in the address", () => /[?&]x=v0&y=v2/.test(page.url()), 20_000);
    for (const key of ["+", "-", "-"]) await page.keyboard.press(key);
    await waitFor("the zoom in the address", () => page.url().includes("zoom=64"));
    await page.locator(".matrix").focus();
    await page.keyboard.press("ArrowDown");
    await page.keyboard.press("Enter");
    const drawer = page.locator(".drawer");
    await drawer.getByRole("heading", { name: "Request" }).waitFor();
    assert.match(page.url(), /cell=\d+/);
    await page.reload();
    await waitForName(page, /^row seed 3, column a cat/);
    await drawer.getByRole("heading", { name: "Request" }).waitFor();
    await takePicture(page, "matrix_details");
    await drawer.getByRole("button", { name: "Close the details" }).click();
    await drawer.waitFor({ state: "detached" });
    await waitForEqual(() => page.evaluate("document.activeElement.className.includes('matrix')"), true);
    assert.deepEqual(opened.errors.filter((text) => !isExpected(text)), []);
  },
});

/** A point in the middle of a cell of the default view. */
async function pointOf(page: Page, row: number, column: number): Promise<[number, number]> {
  const box = (await page.locator(".matrix-canvas").boundingBox())!;
  return [box.x + column * 96 + 48, box.y + row * 96 + 48];
}

Deno.test({
  name:
    "cells are selected by click, Shift, Ctrl and drag; what was selected is retried, tagged and favoured; a cause is retried",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const { user } = rig.people;
    const id = await addRun(rig, user, { axes, states: { failed: 0.3 } });
    const { body: before } = await call(rig.api, user, "GET", `/tasks/${id}`);
    await using opened = await openSignedIn(rig, `/runs/${id}`);
    const { page } = opened;
    await waitForCells(page);
    const [x, y] = await pointOf(page, 0, 0);
    await page.mouse.click(x, y);
    await page.getByText("1 cell selected").waitFor();
    await page.mouse.click(...await pointOf(page, 1, 3));
    await page.keyboard.down("Shift");
    await page.mouse.click(...await pointOf(page, 0, 1));
    await page.keyboard.up("Shift");
    await page.getByText("6 cells selected").waitFor();
    await page.keyboard.down("Control");
    await page.mouse.click(...await pointOf(page, 0, 1));
    await page.keyboard.up("Control");
    await page.getByText("5 cells selected").waitFor();
    await page.mouse.move(x, y);
    await page.mouse.down();
    await page.mouse.move(...await pointOf(page, 1, 4), { steps: 6 });
    await page.mouse.move(...await pointOf(page, 2, 4), { steps: 3 });
    await page.mouse.up();
    await page.getByText("15 cells selected").waitFor();
    await takePicture(page, "matrix_selection");
    await page.getByRole("button", { name: "Favourite" }).click();
    await page.getByText("15 cells marked as favourites").first().waitFor();
    const favourites = await call(rig.api, user, "GET", `/tasks/${id}/favourites?limit=100`);
    assert.equal(favourites.body.items.length, 15);
    await page.getByRole("button", { name: "Tag…" }).click();
    await page.getByLabel("Tag", { exact: true }).fill("hands");
    await page.keyboard.press("Enter");
    await page.getByText("15 cells tagged").first().waitFor();
    await page.getByRole("button", { name: /^Retry failed/ }).click();
    await page.getByText(/cells? (is|are) drawn again/).first().waitFor();
    const { body: retried } = await call(rig.api, user, "GET", `/tasks/${id}`);
    assert.ok(retried.cells.failed < before.cells.failed, "the failed ones of the selection are pending");
    await waitForName(page, /pending/);
    await page.locator(".failures summary").click();
    const { errors: [first] } = retried;
    const cause = page.locator(".failures-cause").filter({ hasText: first.cause });
    await cause.getByRole("button", { name: /^Retry th/ }).click();
    await waitFor("the cause to be retried", async () => {
      const { body } = await call(rig.api, user, "GET", `/tasks/${id}`);
      return body.cells.failed === retried.cells.failed - first.cells;
    });
    assert.deepEqual(opened.errors.filter((text) => !isExpected(text)), []);
  },
});

/** Completes a pending cell, as a worker does. */
async function complete({ api, images }: ConsoleRig, id: string, cell: number): Promise<void> {
  const url = `${images.origin}/new/${cell}.png`;
  await api.database.sql`
    with task as (update tasks set revision = revision + 1, subtasks_completed = subtasks_completed + 1
      where id = ${id} returning revision)
    update subtasks s set status = 'completed', attempt = 1, completed_at = now(), image_url = ${url},
      result = json_build_object('images', json_build_array(json_build_object('url', ${url}::text))), revision = task.revision
    from task where s.parent_task_id = ${id} and s.cell = ${cell}`;
}

Deno.test({
  name:
    "changes appear while the run is open: a drawn cell, a rating, a pause; a cancel can be taken back; a deleted run says so",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const { user, other } = rig.people;
    const id = await addRun(rig, user, { axes, states: { pending: 0.5 } });
    await using opened = await openSignedIn(rig, `/runs/${id}`);
    const { page } = opened;
    await waitForCells(page);
    const { body } = await call(rig.api, user, "GET", `/tasks/${id}/cells?ids=0,1,2,3,4,5,6,7,8`);
    const find = (status: string) =>
      body.items.find((item: { status: string }) => item.status === status).cell;
    const [pending, completed] = [find("pending"), find("completed")];
    await complete(rig, id, pending);
    await waitForName(page, new RegExp(`^row a cat, column seed ${pending + 1}, completed$`));
    await call(rig.api, other, "PUT", `/tasks/${id}/cells/${completed}/rating`, { stars: 2 });
    await waitForName(page, new RegExp(`^row a cat, column seed ${completed + 1}, completed, rated 2$`));
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByText("Nothing new is drawn until it is resumed").first().waitFor();
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("button", { name: "Pause" }).waitFor();
    await page.getByRole("button", { name: "More actions" }).click();
    await page.getByRole("menuitem", { name: "Cancel the run" }).click();
    await page.getByRole("button", { name: /^Undo/ }).click();
    await page.getByText("Not cancelled").first().waitFor();
    const { body: kept } = await call(rig.api, user, "GET", `/tasks/${id}`);
    assert.notEqual(kept.status, "cancelled");
    await call(rig.api, user, "DELETE", `/tasks/${id}`);
    await page.getByText("This run does not exist any more").first().waitFor();
    assert.deepEqual(opened.errors.filter((text) => !isExpected(text)), []);
  },
});

/** Time without scrolling after which images load. */
const restMs = 80;

/** A scroll over sixty frames, in milliseconds of the page's clock. */
interface Scroll {
  start: number;
  end: number;
  longestFrame: number;
}

/** Scrolls to the right over sixty frames. */
const scroll = (page: Page): Promise<Scroll> =>
  page.evaluate(`new Promise((resolve) => {
    const matrix = document.querySelector(".matrix");
    performance.setResourceTimingBufferSize(10_000);
    matrix.scrollLeft = 0;
    const start = performance.now();
    let frames = 0, longestFrame = 0, before = start;
    const step = () => {
      const end = performance.now();
      longestFrame = Math.max(longestFrame, end - before);
      before = end;
      matrix.scrollLeft += 60;
      if (++frames < 60) requestAnimationFrame(step); else resolve({ start, end, longestFrame });
    };
    step();
  })`);

/** Counts the images that the page asked for between two times of its clock. */
const countImages = (page: Page, start: number, end: number): Promise<number> =>
  page.evaluate(`performance.getEntriesByType("resource").filter(({ name, startTime }) =>
    name.endsWith(".png") && startTime >= ${start} && startTime <= ${end}).length`);

Deno.test({
  name:
    "images load after a rest, at most twelve at once; an expired one looks unlike a failed cell; a host that is down is named",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const seeds = Array.from({ length: 200 }, (_, i) => String(i + 1));
    const id = await addRun(rig, rig.people.user, {
      axes: { prompt: ["a cat", "a dog", "an owl", "a tram", "a fox"], seed: seeds },
      states: { failed: 0.1 },
    });
    rig.images.status = 403;
    await using opened = await openSignedIn(rig, `/runs/${id}`);
    const { page } = opened;
    const inFlight = trackRequests(page, rig.images.origin);
    await waitForName(page, /image expired/);
    const names = await namesOf(page);
    assert.ok(names.some((name) => /, failed/.test(name)), "failed cells have another name");
    await page.getByText("Images do not load").waitFor();
    await takePicture(page, "matrix_expired");
    // One image that arrives shows that the host is up again, and takes the notice away.
    await waitFor("the last of the visible images to fail", () => inFlight.size === 0);
    let most = 0;
    page.on("request", () => most = Math.max(most, inFlight.size));
    rig.images.status = 200;
    await page.locator(".run-matrix .notice").getByRole("button", { name: "Try again" }).click();
    await waitFor(
      "the images",
      async () => !(await namesOf(page)).some((name) => /expired/.test(name)),
    );
    assert.ok(most <= 12, `${most} images at once`);
    // A frame that takes longer than the rest is a rest, in which images may load.
    const { start, end } = await waitFor("a scroll without a rest", async () => {
      // Images that were requested while the page stood still would arrive during this scroll.
      await waitFor("the images of the last rest", () => inFlight.size === 0);
      const scrolled = await scroll(page);
      return scrolled.longestFrame < restMs && scrolled;
    });
    await waitFor("the images after the rest", async () => await countImages(page, end, Infinity) > 12);
    // Images that were under way when the scroll began may be followed by those that waited for them.
    const duringScroll = await countImages(page, start, end);
    assert.ok(duringScroll <= 24, `${duringScroll} images were asked for while scrolling`);
  },
});

/** Texts that would do harm as HTML or as an address. */
const attacks = [
  '<img src=x onerror="window.harmed=1">',
  "<script>window.harmed=1</script>",
  '"><svg onload=window.harmed=1>',
  "javascript:window.harmed=1",
  "{{constructor.constructor('window.harmed=1')()}}",
  "\u202Eevil\u202C",
  "__proto__",
  "a\u0007b\nc",
];

Deno.test({
  name: "texts of users are never HTML: prompts, names, errors, evaluations, tags and addresses of images",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const { user } = rig.people;
    const { sql } = rig.api.database;
    const id = await addRun(rig, user, {
      name: attacks[0]!,
      axes: { prompt: attacks, seed: ["1", "2"] },
      states: { failed: 0.4 },
    });
    await sql`update subtasks set error = (${attacks}::text[])[1 + cell % ${attacks.length}::int] where parent_task_id = ${id} and status = 'failed'`;
    await sql`update subtasks set image_url = ${attacks[3]!} where parent_task_id = ${id} and cell = 0`;
    await sql`update subtasks set status = 'completed', attempt = 1, error = null where parent_task_id = ${id} and cell = 0`;
    await call(rig.api, user, "POST", `/tasks/${id}/cells/0/evaluations`, { text: attacks[1], tags: [] });
    await call(rig.api, user, "PUT", `/tasks/${id}/cells/0/tags/${encodeURIComponent(attacks[0]!)}`);
    await using opened = await openSignedIn(rig, `/runs/${id}?cell=0`);
    const { page } = opened;
    await waitForCells(page);
    await page.locator(".drawer-comment").getByText(attacks[1]!).waitFor();
    await page.locator(".drawer").getByText(attacks[0]!).first().waitFor();
    await page.locator(".failures summary").click();
    await page.mouse.move(...await pointOf(page, 1, 1));
    await page.locator(".hover-card").waitFor();
    await takePicture(page, "matrix_attacks");
    assert.equal(await page.evaluate("window.harmed"), undefined);
    const hrefs = await page.evaluate<(string | null)[]>(
      `[...document.links].map((link) => link.getAttribute("href"))`,
    );
    assert.deepEqual(hrefs.filter((href) => href?.startsWith("javascript")), []);
    assert.deepEqual(opened.errors.filter((text) => !isExpected(text)), []);
  },
});

Deno.test({
  name: "the page is accessible and fits at all widths, in both themes and languages",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const { user, other } = rig.people;
    const id = await addRun(rig, user, {
      name: "harbour and temple",
      axes,
      states: { failed: 0.1, pending: 0.1, cancelled: 0.05, processing: 0.05 },
      raters: [user, other],
      starsOf: (cell, rater) => 1 + (cell * (rater + 2)) % 5,
    });
    await using opened = await openSignedIn(rig, `/runs/${id}?cell=1&lens=status`);
    const { page } = opened;
    await waitForCells(page);
    await page.emulateMedia({ colorScheme: "dark", reducedMotion: "reduce" });
    // The first cell has failed. The canvas has the colours of the theme that is changed to.
    await waitFor("the dark colour of a failed cell", async () =>
      await page.evaluate<boolean>(`(() => {
        const { data } = document.querySelector(".matrix-canvas").getContext("2d").getImageData(6, 6, 1, 1);
        const failures = getComputedStyle(document.querySelector(".failures")).backgroundColor;
        return failures === "rgb(" + [...data].slice(0, 3).join(", ") + ")";
      })()`));
    await page.getByText("Images", { exact: true }).click();
    await checkLooks(page, "matrix", async () => {
      await waitForCells(page);
      await page.waitForTimeout(1500);
    });
  },
});
