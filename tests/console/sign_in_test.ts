/** Signing in and its bad cases: nothing that the person typed is lost. */
import assert from "node:assert/strict";
import { hasBrowser } from "../support/browser.ts";
import { waitFor, waitForEqual } from "../support/wait.ts";
import { openConsole, openSignedIn, startConsole, submitSignIn, takePicture } from "./support/console.ts";
import { checkLooks } from "./support/looks.ts";

const ignore = !hasBrowser;
const email = "user@example.com";
const signedIn = ".header";

Deno.test({
  name: "the sign-in page is accessible in all looks, and names what is missing or wrong",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openConsole(rig);
    const { page } = opened;
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("Enter your e-mail address.").waitFor();
    const secret = page.locator("[name=password]");
    assert.equal(await secret.getAttribute("type"), "password");
    assert.equal(await secret.getAttribute("autocomplete"), "current-password");
    await waitForEqual(() => page.evaluate("document.activeElement.name"), "email");
    await submitSignIn(page, email, "wrong horse");
    await page.getByText("The e-mail or the password is wrong.").waitFor();
    assert.equal(await page.locator("[name=email]").inputValue(), email, "what was typed stays");
    await takePicture(page, "sign_in_wrong");
    await checkLooks(page, "sign_in", () => page.locator("[name=email]").waitFor());
  },
});

Deno.test({
  name: "after too many tries the page counts down the seconds that the server asks for",
  ignore,
  async fn() {
    const open = { burst: 1e6, perSecond: 1e6 };
    await using rig = await startConsole({
      limits: { address: open, overall: open, email: { burst: 1, perSecond: 0.25 } },
    });
    await using opened = await openConsole(rig);
    const { page } = opened;
    await submitSignIn(page, email, "wrong horse");
    await page.getByText("is wrong").waitFor();
    await submitSignIn(page, email);
    await page.getByText(/Too many tries. You can try again in \d/).waitFor();
    assert.equal(await page.getByRole("button", { name: "Sign in" }).isDisabled(), true);
    await takePicture(page, "sign_in_too_many");
    await page.locator("button[type=submit]:enabled").waitFor({ timeout: 20_000 });
    await page.locator("button[type=submit]").click();
    await page.locator(signedIn).waitFor();
  },
});

Deno.test({
  name:
    "a session that ends asks for the password over the page, which keeps what was typed and sends what waited",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openSignedIn(rig, "/new");
    const { page } = opened;
    await page.getByLabel("Name", { exact: true }).fill("typed before");
    await page.locator(".axis textarea").first().fill("one\ntwo");
    await page.getByText("2 images", { exact: true }).waitFor();
    await rig.api.database.sql`update sessions set ended_at = now(), end_reason = 'signed_out'`;
    await page.locator(".axis textarea").first().fill("one\ntwo\nthree");
    await page.getByRole("dialog", { name: "Sign in again" }).waitFor();
    await waitForEqual(() => page.evaluate("document.activeElement.name"), "password");
    await takePicture(page, "sign_in_again");
    await page.locator("dialog [name=password]").fill("wrong horse");
    await page.keyboard.press("Enter");
    await page.getByText("is wrong").waitFor();
    await page.locator("dialog [name=password]").fill("correct horse");
    await page.keyboard.press("Enter");
    await page.getByText("3 images", { exact: true }).waitFor();
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "typed before");
  },
});

Deno.test({
  name:
    "two tabs share a session: neither signs in twice, renewals do not collide, and signing out ends both",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openSignedIn(rig);
    const { page } = opened;
    const second = await page.context().newPage();
    await second.goto(page.url());
    await second.locator(signedIn).waitFor();
    await Promise.all([1, 2, 3, 4].map(() => Promise.all([page.reload(), second.reload()])));
    await Promise.all([page.locator(signedIn).waitFor(), second.locator(signedIn).waitFor()]);
    const [row] = await rig.api.database.sql<{ count: number }[]>`
      select count(*)::int from sessions where client <> 'test' and ended_at is null`;
    assert.equal(row!.count, 1);
    await page.evaluate("localStorage.setItem('contactsheet draft a', '{}')");
    await second.getByRole("button", { name: /Account/ }).click();
    await second.getByRole("menuitem", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await second.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.equal(await page.evaluate("localStorage.getItem('contactsheet draft a')"), null);
    await page.reload();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    const [left] = await rig.api.database.sql<{ count: number }[]>`
      select count(*)::int from sessions where client <> 'test' and ended_at is null`;
    assert.equal(left!.count, 0);
  },
});

Deno.test({
  name: "a clock that is an hour off changes nothing but a notice",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openConsole(rig);
    const { page } = opened;
    await page.clock.install({ time: Date.now() + 3_600_000 });
    await page.reload();
    await page.getByText(/The clock of this device is (59 min|1 hr|60 min)/).waitFor();
    await submitSignIn(page, email);
    await page.locator(signedIn).waitFor();
    await page.getByRole("heading", { name: "Runs", exact: true }).waitFor();
  },
});

Deno.test({
  name: "without a connection the page says so, and goes on by itself when it is back",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openSignedIn(rig);
    const { page } = opened;
    await page.locator(".live-sign.on").waitFor();
    await page.context().setOffline(true);
    await page.getByText("No connection to the server").first().waitFor();
    await takePicture(page, "offline");
    await page.context().setOffline(false);
    await page.locator(".offline").waitFor({ state: "detached", timeout: 30_000 });
    await waitFor("the stream", async () => await page.locator(".live-sign.on").count() === 1);
  },
});
