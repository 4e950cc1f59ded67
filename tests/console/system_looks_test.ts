/** The page System in all its looks. */
import assert from "node:assert/strict";
import { hasBrowser } from "../support/browser.ts";
import { openSignedIn, startConsole, takePicture } from "./support/console.ts";
import { addFailedRuns, addFleet, addWebhooks } from "./support/fleet.ts";
import { checkLooks, findViolations, listUntranslated, measureOverflow } from "./support/looks.ts";

const ignore = !hasBrowser;

/** Texts that appear once a tab is loaded, in both languages. */
const inAllLooks: [tab: string, shown: string][] = [
  ["queues", ".system-queues article >> nth=2"],
  ["letters", "text=图像接口超时 >> nth=2"],
  ["doctor", "text=w-dead"],
];
const others: [tab: string, shown: string][] = [
  ["users", "text=other@example.com"],
  ["workers", "text=render-3"],
  ["webhooks", "text=hooks.studio.example/contactsheet/2"],
];

Deno.test({
  name: "the tabs are there in all looks, fit, and are accessible",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await addFleet(rig);
    await addWebhooks(rig, await addFailedRuns(rig));
    await using opened = await openSignedIn(rig, "/system", { kind: "admin" });
    const { page, errors } = opened;
    page.setDefaultTimeout(30_000);
    const show = (tab: string) => page.goto(`${rig.api.origin}/console/system?tab=${tab}`);
    for (const [tab, shown] of inAllLooks) {
      await show(tab);
      await checkLooks(page, `system_${tab}`, () => page.locator(shown).first().waitFor());
      assert.deepEqual(await listUntranslated(page), [], tab);
    }
    for (const [tab, shown] of others) {
      await show(tab);
      await page.locator(shown).first().waitFor();
      assert.deepEqual(await listUntranslated(page), [], tab);
      for (const width of [1440, 360]) {
        await page.setViewportSize({ width, height: 800 });
        await takePicture(page, `system_${tab}_${width}`);
        assert.ok(await measureOverflow(page) <= 0, `${tab} is wider than its window`);
        assert.deepEqual(await findViolations(page), [], tab);
      }
    }
    assert.deepEqual(errors.filter((text) => !text.includes("401")), []);
  },
});
