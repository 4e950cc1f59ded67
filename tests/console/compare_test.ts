/** Two runs compared: the numbers of v2, the choice of the second run, and runs that share nothing. */
import assert from "node:assert/strict";
import { hasBrowser } from "../support/browser.ts";
import { call } from "../v2/support/api.ts";
import { openSignedIn, startConsole, takePicture } from "./support/console.ts";
import { checkLooks } from "./support/looks.ts";
import { addRun } from "./support/runs.ts";

const ignore = !hasBrowser;
const env = { RATE_LIMIT: "1000000" };

const prompts = [
  "a cat",
  "a dog",
  "雨中的寺庙",
  "an owl",
  "a lighthouse at dusk",
  "a bowl of oranges",
  "a fox",
];
const seed = ["1", "2", "3"];

const fixed = (value: number) => value.toFixed(2);
const signed = (value: number) => `${value > 0 ? "+" : ""}${fixed(value)}`;

Deno.test({
  name: "the second run is chosen from the list; the difference, its interval and each unit are those of v2",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const { user, other } = rig.people;
    const starsIn = (more: number) => (cell: number) =>
      2 + (Math.floor(cell / 3) + cell) % 2 + (cell % 5 === 0 ? 0 : more);
    const a = await addRun(rig, user, {
      name: "Old sampler",
      axes: { prompt: prompts, seed },
      raters: [user],
      starsOf: starsIn(0),
    });
    const b = await addRun(rig, user, {
      name: "New sampler",
      axes: { prompt: prompts, seed },
      raters: [user, other],
      starsOf: starsIn(1),
    });
    const { sql } = rig.api.database;
    await sql`update tasks set settings = '{"steps":20}' where id = ${a}`;
    await sql`update tasks set settings = '{"steps":30}' where id = ${b}`;
    await using opened = await openSignedIn(rig, `/runs/${a}/results`);
    const { page } = opened;
    await page.getByRole("link", { name: "Compare with another run" }).click();
    await page.getByRole("heading", { name: "Choose run B" }).waitFor();
    assert.equal(
      await page.getByRole("link", { name: "Old sampler" }).count(),
      0,
      "a run is not compared with itself",
    );
    await page.getByLabel("Search by name").fill("nothing like this");
    await page.getByText("No other run matches.").waitFor();
    await page.getByLabel("Search by name").fill("sampler");
    await takePicture(page, "compare_choose");
    await page.getByRole("link", { name: "New sampler" }).click();
    const { body } = await call(rig.api, user, "GET", `/compare?tasks=${a},${b}`);
    const { value, low, high } = body.difference;
    await page.getByRole("heading", { name: `B is rated higher by ${fixed(value)} stars` }).waitFor();
    const rows = (await page.getByRole("table", { name: "B − A" }).getByRole("row").allInnerTexts())
      .map((text) => text.replaceAll(/\s+/g, " ").trim());
    const overall = `All 7 units ${signed(value)} (${signed(low)} – ${signed(high)})`;
    assert.equal(rows[1], `${overall} ${fixed(body.a.mean)} ${fixed(body.b.mean)}`);
    assert.deepEqual(
      rows.slice(2),
      body.shared.map((unit: { labels: string[]; a: number; b: number; difference: number }) =>
        `${unit.labels[0]} ${signed(unit.difference)} ${fixed(unit.a)} ${fixed(unit.b)}`
      ),
    );
    await page.getByRole("row", { name: "steps 20 30" }).waitFor();
    await page.getByText("the tasks have other raters").waitFor();
    await checkLooks(page, "compare", () => page.locator(".chart-dot").first().waitFor());
    await takePicture(page, "compare_360_whole", true);
    assert.deepEqual(opened.errors.filter((text) => !/401/.test(text)), []);
  },
});

Deno.test({
  name: "few shared units have no interval; runs that share nothing and a run that is gone are told in words",
  ignore,
  async fn() {
    await using rig = await startConsole({ env });
    const { user } = rig.people;
    const add = (name: string, prompt: string[], stars: number) =>
      addRun(rig, user, {
        name,
        axes: { prompt, seed },
        raters: [user],
        starsOf: (cell) => stars + cell % 2,
      });
    const a = await add("Animals", prompts.slice(0, 4), 2);
    const b = await add("Animals again", prompts.slice(2, 6), 2);
    const c = await add("Places", ["a street", "a harbour"], 3);
    await using opened = await openSignedIn(rig, `/compare?tasks=${a},${b}`);
    const { page } = opened;
    await page.getByRole("heading", { name: "No difference is established" }).waitFor();
    await page.getByText("fewer than 6 units").waitFor();
    assert.equal(await page.locator(".chart-range").count(), 0);
    await page.goto(`${rig.api.origin}/console/compare?tasks=${a},${c}`);
    await page.getByRole("heading", { name: "These runs share nothing that is rated" }).waitFor();
    await takePicture(page, "compare_nothing");
    await page.goto(`${rig.api.origin}/console/compare?tasks=${a},${crypto.randomUUID()}`);
    await page.getByText("This does not exist, or it was deleted.").waitFor();
    await page.getByRole("link", { name: "Choose another run" }).click();
    await page.getByRole("heading", { name: "Choose run B" }).waitFor();
  },
});
