/** What Swagger UI shows, read and operated as a person does. */
import assert from "node:assert/strict";
import type { Locator, Page } from "playwright-core";
import { openPage, type TestPage } from "./browser.ts";

/** Opens a documentation page and waits until its operations are shown. */
export async function openDocs(url: string, width?: number): Promise<TestPage> {
  const opened = await openPage(width);
  await opened.page.goto(url);
  await opened.page.locator(".opblock").first().waitFor();
  return opened;
}

/** Returns the operations that the page shows, as `GET /path`, sorted. */
export async function listOperations(page: Page): Promise<string[]> {
  const summaries = await page.locator(".opblock-summary").all();
  const operations = await Promise.all(summaries.map(async (summary) => {
    const method = await summary.locator(".opblock-summary-method").innerText();
    const path = await summary.locator(".opblock-summary-path").getAttribute("data-path");
    return `${method} ${path}`;
  }));
  return operations.sort();
}

/** Returns the operations of an OpenAPI document in the same form. */
export function documentedOperations({ paths }: { paths: Record<string, object> }): string[] {
  return Object.entries(paths)
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`))
    .sort();
}

/** Fills the fields of the `Authorize` dialog by their labels, confirms and closes it. */
export async function authorize(page: Page, fields: Record<string, string>): Promise<void> {
  await page.locator(".auth-wrapper .btn.authorize").click();
  const dialog = page.locator(".dialog-ux .modal-ux");
  for (const [label, value] of Object.entries(fields)) await dialog.getByLabel(label).first().fill(value);
  await dialog.locator(".btn.authorize").first().click();
  await dialog.getByText("Logout").first().waitFor();
  await dialog.locator(".btn-done").first().click();
}

/** Opens a GET operation, executes it, and returns the status and the body that the page shows. */
export async function execute(page: Page, path: string): Promise<{ status: string; body: string }> {
  const operation: Locator = page.locator(".opblock-get").filter({
    has: page.locator(`[data-path="${path}"]`),
  });
  await operation.locator(".opblock-summary-control").click();
  await operation.locator(".try-out__btn").click();
  await operation.locator(".btn.execute").click();
  const response = operation.locator(".live-responses-table .response").first();
  await response.waitFor();
  return {
    status: (await response.locator(".response-col_status").innerText()).trim(),
    body: await response.locator(".response-col_description pre").first().innerText(),
  };
}

/** Checks that the page made requests to its own origin only, without an error, and stored nothing. */
export async function assertClean({ page, errors, origins }: TestPage, origin: string): Promise<void> {
  assert.deepEqual(errors, []);
  assert.deepEqual([...origins], [origin]);
  const stored = await page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]");
  assert.deepEqual(stored, [0, 0, ""]);
}

/** Checks that the page is not wider than its window. */
export async function assertFits({ page }: TestPage): Promise<void> {
  const [content, view] = await page.evaluate<number[]>(
    "[document.documentElement.scrollWidth, document.documentElement.clientWidth]",
  );
  assert.ok(content! <= view!, `${content} pixels in ${view}`);
}
