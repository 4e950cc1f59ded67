/** A page in all its looks: widths, themes and languages, with pictures and a check of accessibility. */
import assert from "node:assert/strict";
import axe from "axe-core";
import type { Page } from "playwright-core";
import { takePicture } from "./console.ts";

/** Returns the violations of WCAG A and AA that axe finds, each with the first element. */
export async function findViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<{
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
  }>(`axe.run(document, {
    resultTypes: ["violations"],
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"],
  })`);
  return violations.map(({ id, nodes }) =>
    `${id} (${nodes.length}): ${nodes[0]!.html.slice(0, 200)} ${
      nodes[0]!.failureSummary.replaceAll("\n", " ").slice(0, 250)
    }`
  );
}

/** Waits until the page has been drawn with the present styles, and transitions to them have ended. */
const waitForStyles = (page: Page): Promise<void> =>
  page.evaluate(
    `new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))).then(() =>
    Promise.allSettled(document.getAnimations().filter((one) => one instanceof CSSTransition).map((one) => one.finished))
  ).then(() => undefined)`,
  );

/** Returns how many pixels the page is wider than its window. */
export const measureOverflow = (page: Page): Promise<number> =>
  page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");

const widths = [[1440, 900], [1024, 768], [360, 740]] as const;

/**
 * Shows the present page in both languages and themes at three widths: takes pictures, and checks that it is accessible
 * and fits.
 *
 * @param ready waits until the page is there again after a change of the language
 */
export async function checkLooks(page: Page, name: string, ready: () => Promise<void>): Promise<void> {
  for (const language of ["en", "zh"] as const) {
    await page.evaluate(`localStorage.setItem("contactsheet language", "${language}")`);
    // What is far below a small window is not loaded yet.
    await page.setViewportSize({ width: widths[0][0], height: widths[0][1] });
    await page.reload();
    await ready();
    for (const theme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
      for (const [width, height] of widths) {
        await page.setViewportSize({ width, height });
        await waitForStyles(page);
        const look = `${name}_${width}_${theme}_${language}`;
        await takePicture(page, look);
        assert.ok(await measureOverflow(page) <= 0, `${look} is wider than its window`);
        if (width !== 1024) assert.deepEqual(await findViolations(page), [], look);
      }
    }
  }
}

/** Returns the names of columns and facts of a Chinese page that are not in Chinese. */
export async function listUntranslated(page: Page): Promise<string[]> {
  const names = await page.locator("th, dt").allTextContents();
  return names.filter((name) => name !== "" && name !== "Redis" && !/[\u4e00-\u9fff]/.test(name));
}
