/** The page System: queues, workers, dead letters, doctor, users and webhooks. */
import assert from "node:assert/strict";
import type { Page } from "playwright-core";
import { hasBrowser } from "../support/browser.ts";
import { waitFor, waitForEqual } from "../support/wait.ts";
import { call } from "../v2/support/api.ts";
import { openSignedIn, startConsole, takePicture } from "./support/console.ts";
import { addFailedRuns, addFleet, addWebhooks } from "./support/fleet.ts";

const ignore = !hasBrowser;

/** Opens the page as an admin, and shows a tab. */
const openTab = async (page: Page, name: string): Promise<void> => {
  await page.getByRole("navigation", { name: "System" }).getByRole("link", { name }).click();
};

Deno.test({
  name: "an admin sets the slots of a queue for a time and ends that, while the page keeps itself up to date",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await addFleet(rig);
    await using opened = await openSignedIn(rig, "/", { kind: "admin" });
    const { page } = opened;
    await page.getByRole("link", { name: "System" }).click();
    const card = page.getByRole("article", { name: "high" });
    await card.getByRole("button", { name: "Set slots" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.locator("[name=slots]").fill("two");
    assert.equal(await dialog.getByRole("button", { name: "Confirm" }).isDisabled(), true);
    await dialog.locator("[name=slots]").fill("2");
    await dialog.getByLabel("For").selectOption({ index: 2 });
    await dialog.locator("[name=reason]").fill("<b>repairs</b>");
    await takePicture(page, "system_override");
    await dialog.getByRole("button", { name: "Confirm" }).click();
    await card.getByText("<b>repairs</b>").waitFor();
    const [row] = await rig.api.database.sql`
      select slots, made_by, round(extract(epoch from expires_at - made_at)) as seconds
      from slot_overrides where queue = 'high'`;
    assert.deepEqual([row!.slots, row!.made_by, Number(row!.seconds)], [2, "admin@example.com", 14_400]);

    // The page reads again by itself, and the focus stays where it is.
    await card.getByRole("button", { name: "End override" }).focus();
    await rig.api.database.sql`update queue_slots set slots = 2, reason = 'by hand' where queue = 'high'`;
    await card.getByText("by hand").waitFor();
    assert.equal(await page.evaluate("document.activeElement.textContent"), "End override");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").getByRole("button", { name: "Confirm" }).click();
    await card.getByText("<b>repairs</b>").waitFor({ state: "detached" });
    const left = await rig.api.database.sql`select 1 from slot_overrides where queue = 'high'`;
    assert.equal(left.length, 0);
  },
});

Deno.test({
  name: "a manager draws dead letters again by cause and one by one, and sees neither users nor webhooks",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await addFleet(rig);
    const id = await addFailedRuns(rig);
    await using opened = await openSignedIn(rig, "/system?tab=letters", { kind: "manager" });
    const { page } = opened;
    const { sql } = rig.api.database;
    const count = async (cause: string) =>
      (await sql`select from subtasks where status = 'failed' and error = ${cause}`).length;
    await waitForEqual(
      () => page.getByRole("navigation", { name: "System" }).getByRole("link").allInnerTexts(),
      ["Queues", "Workers", "Dead letters", "Doctor"],
    );
    const causes = page.getByRole("table", { name: "By cause" });
    const before = await count("图像接口超时");
    assert.ok(before > 2);
    await causes.getByRole("row", { name: "图像接口超时" }).getByRole("button").click();
    await page.getByRole("heading", { name: `Draw ${before} cells again` }).waitFor();
    await takePicture(page, "system_replay");
    await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
    assert.equal(await count("图像接口超时"), before, "only when confirmed");
    await causes.getByRole("row", { name: "图像接口超时" }).getByRole("button").click();
    await page.getByRole("dialog").getByRole("button", { name: "Confirm" }).click();
    await causes.getByText("图像接口超时").waitFor({ state: "detached" });
    assert.equal(await count("图像接口超时"), 0);

    const total = await count("图像接口返回 HTTP 500") + await count("内容审核未通过");
    await page.getByRole("table", { name: "Latest" }).getByRole("button").first().click();
    await page.getByRole("dialog").getByRole("button", { name: "Confirm" }).click();
    await page.getByText("Done: Draw 1 cell again").first().waitFor();
    const rest = await count("图像接口返回 HTTP 500") + await count("内容审核未通过");
    assert.equal(rest, total - 1);
    // A letter leads to its cell.
    await page.getByRole("table", { name: "Latest" }).getByRole("link").first().click();
    await waitFor("the run with its cell", () => /\/runs\/.*cell=\d/.test(page.url()));
    assert.ok(id);
  },
});

Deno.test({
  name: "an admin searches users, changes roles, ends sessions and blocks",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openSignedIn(rig, "/system?tab=users", { kind: "admin" });
    const { page } = opened;
    const { user } = rig.people;
    await page.getByText("guest@example.com").waitFor();
    await page.getByRole("searchbox").fill("user@");
    await page.getByText("guest@example.com").waitFor({ state: "detached" });
    const act = async (name: string) => {
      await page.getByRole("button", { name: "Actions for user@example.com" }).click();
      await page.getByRole("menuitem", { name }).click();
    };
    const confirm = async () => {
      await page.getByRole("dialog").getByRole("button", { name: "Confirm" }).click();
      await page.getByRole("dialog").waitFor({ state: "detached" });
    };
    await act("Change roles");
    await page.getByLabel("manager").check();
    await confirm();
    await page.getByText("manager, user").waitFor();

    await act("End all sessions");
    await page.getByRole("dialog").getByText("test").waitFor();
    await takePicture(page, "system_sessions");
    await confirm();
    assert.equal((await call(rig.api, user, "GET", "/users/me")).status, 401);

    await act("Block");
    await confirm();
    await page.getByRole("cell", { name: "no", exact: true }).waitFor();
    const [row] = await rig.api.database.sql`select is_active, roles from users where id = ${user.id}`;
    assert.deepEqual([row!.is_active, [...row!.roles].sort()], [false, ["manager", "user"]]);

    // What the server refuses is said in the dialog.
    await page.getByRole("searchbox").fill("admin@");
    await page.getByRole("button", { name: "Actions for admin@example.com" }).click();
    await page.getByRole("menuitem", { name: "Block" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Confirm" }).click();
    await page.getByRole("dialog").getByRole("alert").waitFor();
  },
});

Deno.test({
  name: "an admin sees the deliveries of a webhook and sends a test; the doctor looks again on request",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await addFleet(rig);
    await addWebhooks(rig, await addFailedRuns(rig));
    await using opened = await openSignedIn(rig, "/system?tab=webhooks", { kind: "admin" });
    const { page } = opened;
    await page.getByRole("button", { name: "Deliveries" }).first().click();
    await page.getByRole("dialog").getByText("given up").waitFor();
    await takePicture(page, "system_deliveries");
    await page.getByRole("dialog").getByRole("button", { name: "Confirm" }).click();
    await page.getByRole("dialog").waitFor({ state: "detached" });
    const tests = await rig.api.database
      .sql`select from deliveries where event = 'test' and closed_at is null`;
    assert.equal(tests.length, 2);
    await openTab(page, "Doctor");
    await page.getByText("workers have sent no sign").waitFor();
    await rig.api.database.sql`delete from workers where id = 'w-dead'`;
    await page.getByRole("button", { name: "Look again" }).click();
    await page.getByText("workers have sent no sign").waitFor({ state: "detached" });
  },
});

Deno.test({
  name: "others see that the page is for staff, and the menu leaves it out",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openSignedIn(rig, "/system?tab=users", { kind: "user" });
    const { page } = opened;
    await page.getByText("This page is for admins and managers").waitFor();
    assert.equal(await page.getByRole("navigation", { name: "Main menu" }).getByText("System").count(), 0);
    await using empty = await openSignedIn(rig, "/system", { kind: "manager" });
    await empty.page.getByText("No worker has started yet").waitFor();
    await takePicture(empty.page, "system_empty");
    await openTab(empty.page, "Dead letters");
    await empty.page.getByText("Nothing has failed for good").waitFor();
    await openTab(empty.page, "Workers");
    await empty.page.getByText("No worker is registered").waitFor();
    await takePicture(empty.page, "system_no_worker");
    await openTab(empty.page, "Doctor");
    await empty.page.getByText("No faults were found").waitFor();
  },
});
