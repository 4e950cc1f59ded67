/** The matrix of a run with 50,000 cells, in Chromium over the real API. */
import type { CDPSession, Page, Request } from "playwright-core";
import { saveRatings } from "../../db/judging/ratings.ts";
import { type ConsoleRig, openSignedIn, startConsole } from "../../tests/console/support/console.ts";
import { addRun } from "../../tests/console/support/runs.ts";
import { atLeast, atMost, quantile, type Report } from "../report.ts";

export interface MatrixOptions {
  cells: number;
  /** Seconds of scrolling at each size. */
  scrollSeconds: number;
  /** Seconds of scrolling over which memory is observed. */
  memorySeconds: number;
  /** Changes of which the time to the screen is measured. */
  changes: number;
}

/** Helpers in the page. The canvas of the rating lens has no image, so that its pixels can be read. */
const helpers = `
  window.pixelOf = (x, y) => {
    const canvas = document.querySelector(".matrix-canvas");
    if (!canvas) return "";
    return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].join();
  };
  window.nextFrame = () => new Promise(requestAnimationFrame);
  window.waitForFrame = async (check) => {
    for (const end = performance.now() + 60_000; !check();) {
      if (performance.now() > end) throw new Error("waited a minute for " + check);
      await nextFrame();
    }
    return performance.timeOrigin + performance.now();
  };
  window.goTo = (to) => {
    history.pushState(null, "", "/console" + to);
    dispatchEvent(new PopStateEvent("popstate"));
    return performance.timeOrigin + performance.now();
  };
  window.scrollDiagonally = async (seconds) => {
    const matrix = document.querySelector(".matrix");
    const times = [];
    let [dx, dy, nodes] = [14, 11, 0];
    let last = await nextFrame();
    for (const end = last + seconds * 1000; last < end;) {
      const [left, top] = [matrix.scrollLeft, matrix.scrollTop];
      matrix.scrollBy(dx, dy);
      if (matrix.scrollLeft === left) dx = -dx;
      if (matrix.scrollTop === top) dy = -dy;
      const now = await nextFrame();
      times.push(now - last);
      if (times.length % 30 === 0) nodes = Math.max(nodes, document.querySelectorAll("*").length);
      last = now;
    }
    return { times, nodes };
  };`;

/** A pixel inside the second cell, beside its digits, in device pixels. It is completed, and the first one has failed. */
const secondCell = "36, 4";

async function measureOpening(page: Page, id: string, report: Report): Promise<void> {
  const sizes: Promise<number>[] = [];
  page.on("response", (response) => {
    if (!response.url().includes("/planes")) return;
    sizes.push(response.request().sizes().then(({ responseBodySize }) => responseBodySize));
  });
  const took = await page.evaluate<number>(`(async () => {
    const from = goTo("/runs/${id}?lens=rating&zoom=32&x=v1&y=v0");
    return await waitForFrame(() => {
      const colour = pixelOf(${secondCell});
      return colour !== "" && colour !== pixelOf(33 * 2, 0) && document.querySelector(".minimap canvas")?.width > 1;
    }) - from;
  })()`);
  report({
    what: "click → first full heatmap, code not loaded before",
    value: took,
    unit: "ms",
    goal: atMost(took, 500, "ms"),
  });
  const kilobytes = (await sizes[0]!) / 1000;
  report({ what: "planes, compressed", value: kilobytes, unit: "KB", goal: atMost(kilobytes, 60, "KB") });
}

async function readMetric(session: CDPSession, wanted: string): Promise<number> {
  const { metrics } = await session.send("Performance.getMetrics");
  return metrics.find(({ name }) => name === wanted)!.value;
}

async function measureScroll(page: Page, size: number, seconds: number, report: Report): Promise<void> {
  await page.evaluate(
    `goTo(location.pathname.slice("/console".length) + "?lens=rating&x=v1&y=v0&zoom=${size}")`,
  );
  await page.waitForTimeout(1000);
  const session = await page.context().newCDPSession(page);
  // Processor time of the main thread, which does not depend on what else the machine does.
  await session.send("Performance.enable", { timeDomain: "threadTicks" });
  const busyBefore = await readMetric(session, "TaskDuration");
  const { times, nodes } = await page.evaluate<{ times: number[]; nodes: number }>(
    `scrollDiagonally(${seconds})`,
  );
  const busyMs = 1000 * (await readMetric(session, "TaskDuration") - busyBefore) / times.length;
  await session.detach();
  const fps = 1000 * times.length / times.reduce((sum, time) => sum + time, 0);
  const [p95, most] = [quantile(times, 0.95), Math.max(...times)];
  const what = `diagonal scroll at ${size} px`;
  report({ what, value: fps, unit: "fps", goal: atLeast(fps, 58, "fps") });
  report({ what: `${what}, time of a frame, p95`, value: p95, unit: "ms", goal: atMost(p95, 20, "ms") });
  report({ what: `${what}, processor time of a frame on the main thread`, value: busyMs, unit: "ms" });
  report({ what: `${what}, longest frame`, value: most, unit: "ms", goal: atMost(most, 50, "ms") });
  report({ what: `${what}, nodes of the page`, value: nodes, unit: "", goal: atMost(nodes, 1500, "") });
}

async function measureSwap(page: Page, report: Report): Promise<void> {
  const requests: string[] = [];
  const count = (request: Request) => {
    const { pathname } = new URL(request.url());
    // Chromium asks for the icon again whenever the address changes.
    if (pathname.startsWith("/api/")) requests.push(pathname);
  };
  page.on("request", count);
  const took = await page.evaluate<number>(`(async () => {
    const matrix = document.querySelector(".matrix");
    const rows = matrix.getAttribute("aria-rowcount");
    await nextFrame();
    const from = performance.timeOrigin + performance.now();
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "s", bubbles: true }));
    await waitForFrame(() => matrix.getAttribute("aria-rowcount") !== rows);
    await nextFrame();
    return performance.timeOrigin + performance.now() - from;
  })()`);
  await page.waitForTimeout(300);
  page.off("request", count);
  report({ what: "axis swap", value: took, unit: "ms", goal: atMost(took, 100, "ms") });
  report({
    what: "axis swap, requests",
    value: requests.length,
    unit: "",
    goal: atMost(requests.length, 0, ""),
    note: requests.join(" "),
  });
}

/** Rates the second cell again and again, and waits until its colour has changed. */
async function measureLive(
  rig: ConsoleRig,
  page: Page,
  id: string,
  changes: number,
  report: Report,
): Promise<void> {
  await page.evaluate(`goTo("/runs/${id}?lens=rating&zoom=32&x=v1&y=v0")`);
  await page.evaluate(`document.querySelector(".matrix").scrollTo(0, 0)`);
  await page.waitForTimeout(1000);
  const waits: number[] = [];
  for (let i = 0; i < changes; i++) {
    const before = await page.evaluate<string>(`pixelOf(${secondCell})`);
    const seen = page.evaluate<number>(`waitForFrame(() => pixelOf(${secondCell}) !== "${before}")`);
    const rating = { task_id: id, rater_id: rig.people.user.id, skipped: null, blind: false, took_ms: null };
    await saveRatings(rig.api.database.sql, [{ ...rating, cell: 1, stars: i % 2 === 0 ? 5 : 1 }]);
    const committedAt = Date.now();
    waits.push(await seen - committedAt);
    await page.waitForTimeout(150);
  }
  const p95 = quantile(waits, 0.95);
  report({ what: "commit of a cell → on the screen, p50", value: quantile(waits, 0.5), unit: "ms" });
  report({
    what: "commit of a cell → on the screen, p95",
    value: p95,
    unit: "ms",
    goal: atMost(p95, 400, "ms"),
  });
}

async function readHeap(session: CDPSession): Promise<number> {
  await session.send("HeapProfiler.collectGarbage");
  return await readMetric(session, "JSHeapUsedSize") / 2 ** 20;
}

/** Scrolls through images for a while; the heap after the first tenth and at the end is compared. */
async function measureMemory(page: Page, id: string, seconds: number, report: Report): Promise<void> {
  await page.evaluate(`goTo("/runs/${id}?zoom=64&x=v1&y=v0")`);
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  await page.evaluate(`scrollDiagonally(${seconds / 10})`);
  const before = await readHeap(session);
  // It rests now and then, so that images load.
  for (let i = 0; i < 9; i++) {
    await page.evaluate(`scrollDiagonally(${seconds / 10})`);
    await page.waitForTimeout(500);
  }
  const growth = await readHeap(session) - before;
  report({
    what: `heap, growth over ${seconds} s of scrolling`,
    value: growth,
    unit: "MiB",
    goal: atMost(growth, 8, "MiB"),
  });
}

/** Measures the matrix against its goals. */
export async function benchMatrix(options: MatrixOptions, report: Report): Promise<void> {
  await using rig = await startConsole({ env: { RATE_LIMIT: "1000000" } });
  const columns = 250;
  const values = (count: number, name: string) => Array.from({ length: count }, (_, i) => `${name} ${i + 1}`);
  const id = await addRun(rig, rig.people.user, {
    axes: {
      prompt: values(Math.ceil(options.cells / columns), "prompt"),
      element: values(columns, "element"),
    },
    states: { failed: 0.02, cancelled: 0.02 },
    raters: [rig.people.user],
    // Spread without a pattern, so that compression finds none.
    starsOf: (cell) => 1 + (Math.imul(cell, 0x9e3779b1) >>> 0) % 9973 % 5,
  });
  await rig.api.database
    .sql`update subtasks set status = 'completed' where parent_task_id = ${id} and cell = 0`;
  await using opened = await openSignedIn(rig, "/");
  const { page } = opened;
  await page.evaluate(helpers);
  await measureOpening(page, id, report);
  for (const size of [32, 96]) await measureScroll(page, size, options.scrollSeconds, report);
  await measureSwap(page, report);
  await measureLive(rig, page, id, options.changes, report);
  await measureMemory(page, id, options.memorySeconds, report);
}
