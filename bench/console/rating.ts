/** Rating at ten keys a second in Chromium, while the network is cut and the tab is killed. */
import type { Page } from "playwright-core";
import { type ConsoleRig, openSignedIn, startConsole } from "../../tests/console/support/console.ts";
import { readRatingHistory, waitForImage } from "../../tests/console/support/judging.ts";
import { addRun } from "../../tests/console/support/runs.ts";
import { waitFor } from "../../tests/support/wait.ts";
import { atMost, quantile, type Report } from "../report.ts";

export interface RatingOptions {
  ratings: number;
  /** Seconds of each of the two cuts. */
  cutSeconds: number;
}

/** A key that the page took for the image that was visible. */
interface Taken {
  cell: number;
  stars: number;
}

interface Log {
  taken: Taken[];
  /** Keys that came while no image was visible. */
  ignored: number;
  paints: number[];
  images: number[];
}

/** Reports each key before the page handles it, and the time until its effects are painted. */
const recorder = `
  addEventListener("keydown", (event) => {
    if (!/^[1-5]$/.test(event.key)) return;
    const find = (selector) => document.querySelector(selector);
    const stage = find(".judge-stage");
    if (stage?.dataset.state !== "ready") return reportKey("{}");
    const { cell } = stage.dataset;
    reportKey(JSON.stringify({ cell: Number(cell), stars: Number(event.key) }));
    const painted = { rating: false, image: false };
    const check = () => {
      const isRated = find(".rate-trail li:last-child button")?.dataset.stars === event.key;
      const isNext = stage.dataset.cell !== cell && stage.dataset.state === "ready" && find(".judge-image img")?.complete;
      const channel = new MessageChannel();
      // A message that is sent in a frame arrives after it is painted.
      channel.port1.onmessage = () => {
        const took = performance.now() - event.timeStamp;
        if (isRated && !painted.rating) reportTime("rating", took);
        if (isNext && !painted.image) reportTime("image", took);
        painted.rating ||= isRated;
        painted.image ||= isNext;
        // After the last image, or without a connection, there is no next one to wait for.
        if (stage.isConnected && stage.dataset.state && !(painted.rating && painted.image) && took < 2000) {
          requestAnimationFrame(check);
        }
      };
      channel.port2.postMessage(null);
    };
    requestAnimationFrame(check);
  }, true);`;

async function prepare(page: Page, log: Log): Promise<void> {
  const context = page.context();
  await context.exposeFunction("reportKey", (text: string) => {
    const taken = JSON.parse(text);
    if (taken.cell === undefined) log.ignored++;
    else log.taken.push(taken);
  });
  await context.exposeFunction("reportTime", (what: "rating" | "image", ms: number) => {
    (what === "rating" ? log.paints : log.images).push(ms);
  });
  await context.addInitScript(recorder);
}

const keyMs = 100;

/** Presses ten keys a second. Where no image is left, it goes back and changes ratings. */
async function press(page: Page, log: Log, isDone: () => boolean): Promise<void> {
  for (let next = performance.now(); !isDone(); next += keyMs) {
    const before = log.ignored;
    await page.keyboard.press(String(1 + log.taken.length * 7 % 5));
    if (log.ignored > before && log.taken.length > 10) {
      for (let i = 0; i < 10; i++) await page.keyboard.press("ArrowLeft");
    }
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, next + keyMs - performance.now())));
  }
}

/** Compares what was pressed with what the server has, cell by cell. */
function compare(taken: readonly Taken[], history: readonly (readonly [number, unknown])[]) {
  const found = { lost: 0, doubled: 0, disordered: 0 };
  const cells = new Set([...taken.map(({ cell }) => cell), ...history.map(([cell]) => cell)]);
  for (const cell of cells) {
    const wanted = taken.filter((one) => one.cell === cell).map(({ stars }) => stars);
    const given = history.filter(([of]) => of === cell).map(([, stars]) => stars);
    found.lost += Math.max(0, wanted.length - given.length);
    found.doubled += Math.max(0, given.length - wanted.length);
    if (wanted.length === given.length && wanted.join() !== given.join()) found.disordered++;
  }
  return found;
}

/** Rates with two cuts of the network. At the end of the second one the tab is killed. */
async function rateThroughFaults(
  rig: ConsoleRig,
  page: Page,
  id: string,
  { ratings, cutSeconds }: RatingOptions,
  log: Log,
): Promise<Page> {
  const context = page.context();
  const upTo = (share: number) => () => log.taken.length >= ratings * share;
  const cut = async () => {
    await context.setOffline(true);
    const end = performance.now() + cutSeconds * 1000;
    await press(page, log, () => performance.now() > end || log.taken.length >= ratings);
  };
  await press(page, log, upTo(0.2));
  await cut();
  await context.setOffline(false);
  await press(page, log, upTo(0.6));
  await cut();
  const session = await context.newCDPSession(page);
  session.send("Page.crash").catch(() => {});
  await page.waitForEvent("crash");
  await page.close();
  await context.setOffline(false);
  const opened = await context.newPage();
  await opened.goto(`${rig.api.origin}/console/runs/${id}/rate`);
  await waitForImage(opened);
  await press(opened, log, upTo(1));
  return opened;
}

/** Measures rating against its goals. */
export async function benchRating(options: RatingOptions, report: Report): Promise<void> {
  await using rig = await startConsole({ env: { RATE_LIMIT: "1000000" } });
  const values = (count: number, name: string) => Array.from({ length: count }, (_, i) => `${name} ${i + 1}`);
  const id = await addRun(rig, rig.people.user, {
    axes: { prompt: values(Math.ceil(options.ratings / 25), "prompt"), seed: values(25, "") },
  });
  await using opened = await openSignedIn(rig, "/");
  const log: Log = { taken: [], ignored: 0, paints: [], images: [] };
  await prepare(opened.page, log);
  await opened.page.goto(`${rig.api.origin}/console/runs/${id}/rate`);
  await waitForImage(opened.page);
  const page = await rateThroughFaults(rig, opened.page, id, options, log);
  await page.locator('[data-unsent="0"]').waitFor({ timeout: 60_000 });
  const count = () => readRatingHistory(rig, id);
  await waitFor("all ratings", async () => (await count()).length >= log.taken.length, 30_000).catch(
    () => {},
  );
  const { lost, doubled, disordered } = compare(log.taken, await count());
  const what = `${log.taken.length} ratings, two cuts, tab killed`;
  const note = `${log.ignored} keys came while no image was visible`;
  report({ what: `${what}: lost`, value: lost, unit: "", goal: atMost(lost, 0, ""), note });
  report({ what: `${what}: doubled`, value: doubled, unit: "", goal: atMost(doubled, 0, "") });
  report({
    what: `${what}: cells in another order`,
    value: disordered,
    unit: "",
    goal: atMost(disordered, 0, ""),
  });
  for (
    const [name, times, max] of [["rating → paint", log.paints, 50], ["next image", log.images, 100]] as const
  ) {
    const p95 = quantile(times, 0.95);
    report({ what: `${name}, p50`, value: quantile(times, 0.5), unit: "ms" });
    report({ what: `${name}, p95`, value: p95, unit: "ms", goal: atMost(p95, max, "ms") });
  }
}
