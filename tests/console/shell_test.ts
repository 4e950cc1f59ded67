/** The frame of the console: signing in and out, the policy of the page, and what has no page. */
import assert from "node:assert/strict";
import { hasBrowser } from "../support/browser.ts";
import { openConsole, startConsole, submitSignIn, takePicture } from "./support/console.ts";
import { addRun } from "./support/runs.ts";

const ignore = !hasBrowser;

Deno.test({
  name: "a person signs in, sees the runs, and stays signed in over a reload; no script can read a token",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await addRun(rig, rig.people.user, {
      name: "harbour and temple",
      axes: { prompt: ["a harbour", "a temple"], seed: ["1", "2", "3"] },
      states: { failed: 0.2, pending: 0.3 },
    });
    await using opened = await openConsole(rig);
    const { page, errors } = opened;
    await takePicture(page, "sign_in");
    await submitSignIn(page, "user@example.com");
    await page.getByText("harbour and temple").waitFor();
    await takePicture(page, "runs");
    await page.reload();
    await page.getByText("harbour and temple").waitFor();
    const readable = await page.evaluate(
      "JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}, location.href])",
    );
    assert.doesNotMatch(String(readable), /refresh_|eyJ/);
    const cookies = await page.context().cookies(`${rig.api.origin}/api/v2/auth/browser/refresh`);
    assert.deepEqual(
      cookies.map(({ httpOnly, sameSite, path }) => ({ httpOnly, sameSite, path })),
      [{ httpOnly: true, sameSite: "Strict", path: "/api/v2/auth/browser" }],
    );
    assert.deepEqual(await page.context().cookies(`${rig.api.origin}/api/v2/tasks`), []);
    assert.deepEqual(errors.filter((text) => !text.includes("401")), []);
    const allowed = [rig.api.origin, rig.images.origin];
    assert.deepEqual([...opened.origins].filter((origin) => !allowed.includes(origin)), []);
  },
});
