/** A person's whole day in the console, with a real worker: plan, watch, rate, lose the network, find the best, share. */
import assert from "node:assert/strict";
import { drawCell } from "../../dev/servers/draw.ts";
import { startImageApi } from "../../dev/servers/image_api.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { spawnProgram } from "../../dev/servers/spawn.ts";
import { hasBrowser } from "../support/browser.ts";
import { createDatabase } from "../support/database.ts";
import { openConsole, openSignedIn, startConsole, takePicture } from "./support/console.ts";
import { pressOn, readRatingHistory, waitForUnsent } from "./support/judging.ts";

const prompts = ["a harbour", "a temple", "a fox", "an owl", "a tram", "雨中的寺庙"];
const ratings = 30;

Deno.test({
  name:
    "a person signs in, plans, watches, rates 30 images, loses the network, finds the best level and shares it",
  ignore: !hasBrowser,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const database = stack.use(await createDatabase());
    const redis = stack.use(await startRedis());
    const images = stack.use(await startImageApi({ delayMs: 300, draw: drawCell }));
    const env = { RATE_LIMIT: "1000000", IMAGE_HOSTS: new URL(images.url).origin };
    const rig = stack.use(await startConsole({ database, env }));
    stack.use(
      await spawnProgram("worker", {
        DATABASE_URL: database.url,
        REDIS_URL: redis.url,
        IMAGE_API_URL: images.url,
        LUMINA_API_URL: images.luminaUrl,
        NIETA_XTOKEN: "t",
      }),
    );
    const { page, errors } = stack.use(await openSignedIn(rig, "/"));

    // Plan.
    await page.getByRole("link", { name: "New run" }).first().click();
    const axes = page.locator(".axis textarea");
    await axes.nth(0).fill(prompts.join("\n"));
    await axes.nth(1).fill("1\n2\n3\n4\n5\n6");
    await page.getByText("36 images", { exact: true }).waitFor();
    await page.getByLabel("Name", { exact: true }).fill("six scenes");
    await page.getByRole("button", { name: "Draw 36 images" }).click();

    // Watch.
    await page.waitForURL(/\/console\/runs\/[0-9a-f-]{36}$/);
    const id = page.url().split("/").at(-1)!;
    await page.locator(".run-head").getByText("completed").waitFor({ timeout: 120_000 });
    await page.getByText("36 of 36 drawn").waitFor();
    assert.equal(images.posts.length, 36);
    await takePicture(page, "day_matrix");

    // Rate, the last third without a network.
    await page.getByRole("link", { name: "Rate", exact: true }).click();
    const judge = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const values = await page.locator(".judge-places").innerText();
        await pressOn(page, values.includes("owl") ? "5" : "2");
      }
    };
    await judge(20);
    await page.context().setOffline(true);
    await judge(6);
    await page.getByText("No connection to the server").first().waitFor();
    await takePicture(page, "day_offline");
    await page.context().setOffline(false);
    await judge(ratings - 26);
    await waitForUnsent(page, 0);
    const history = await readRatingHistory(rig, id);
    assert.equal(history.length, ratings);
    assert.equal(new Set(history.map(([cell]) => cell)).size, ratings, "each image was rated once");

    // Find the best level.
    await page.getByRole("link", { name: "Results", exact: true }).click();
    await page.getByText(/^Best: .*an owl/).waitFor();
    await takePicture(page, "day_results");

    // Share it, and open the share in a second browser.
    await page.locator(".run-actions .menu button").click();
    await page.getByRole("menuitem", { name: "Share" }).click();
    await page.locator("dialog").getByRole("button", { name: "Make the link" }).click();
    const link = await page.locator("dialog input[readonly]").inputValue();
    assert.ok(link.startsWith(`${rig.api.origin}/console/shared#`), link);
    const { page: other } = stack.use(await openConsole(rig, link.slice(`${rig.api.origin}/console`.length)));
    await other.getByText("six scenes").waitFor();
    await other.getByRole("link", { name: "Results", exact: true }).click();
    await other.getByText(/^Best: .*an owl/).waitFor();
    assert.deepEqual(errors.filter((text) => !/401|net::ERR/.test(text)), []);
  },
});
