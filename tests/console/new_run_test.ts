/** The page New run: the draft, its plan, mends, import and creation. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Page } from "playwright-core";
import { hasBrowser } from "../support/browser.ts";
import { waitFor } from "../support/wait.ts";
import { call } from "../v2/support/api.ts";
import { openSignedIn, startConsole, takePicture } from "./support/console.ts";
import { checkLooks } from "./support/looks.ts";
import { addRun } from "./support/runs.ts";

const ignore = !hasBrowser;
const prompts = [
  "a quiet harbour at dawn",
  "a moonlit temple, night",
  "a desert road at noon",
  "雨夜霓虹",
  "森林里的狐狸",
  "an old library",
];

/** Fills the values of the n-th axis as if pasted. */
const fillAxis = (page: Page, n: number, lines: readonly string[]) =>
  page.locator(".axis textarea").nth(n).fill(lines.join("\n"));

Deno.test({
  name: "a run is planned while it is typed, survives a reload, and is created once with what the plan said",
  ignore,
  async fn() {
    await using rig = await startConsole();
    const { user } = rig.people;
    await using opened = await openSignedIn(rig, "/new");
    const { page, errors } = opened;
    await page.getByText("Enter values on the left").waitFor();
    await fillAxis(page, 0, prompts);
    await fillAxis(page, 1, ["3", "4", "5", "7"]);
    await page.getByText("24 images", { exact: true }).waitFor();
    await page.getByLabel("Name", { exact: true }).fill("cfg over six scenes <img src=x>");
    await page.reload();
    await page.getByText("24 images", { exact: true }).waitFor();
    assert.equal(
      await page.getByLabel("Name", { exact: true }).inputValue(),
      "cfg over six scenes <img src=x>",
    );
    await takePicture(page, "new_run_filled");

    // Each warning has a way to mend it.
    await fillAxis(page, 1, ["3", "4", "4"]);
    await page.getByRole("button", { name: "Remove repeated values" }).click();
    await page.getByText("12 images", { exact: true }).waitFor();
    await fillAxis(page, 1, ["3"]);
    await page.getByRole("button", { name: "Make it the same for all" }).click();
    await page.getByText("6 images", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Draw 6 images" }).click();
    await page.waitForURL(/\/console\/runs\/[0-9a-f-]{36}$/);
    const list = await call(rig.api, user, "GET", "/tasks?mine=true");
    assert.deepEqual(
      list.body.items.map((run: { name: string; cells: { total: number } }) => [run.name, run.cells.total]),
      [
        ["cfg over six scenes <img src=x>", 6],
      ],
    );
    assert.deepEqual(errors.filter((text) => !text.includes("401")), []);
  },
});

Deno.test({
  name: "the new run is accessible in all looks",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openSignedIn(rig, "/new", { kind: "admin" });
    const { page } = opened;
    page.setDefaultTimeout(60_000);
    await fillAxis(page, 0, prompts.slice(0, 3));
    await fillAxis(page, 1, ["3", "4", "5.5", "7"]);
    await page.locator(".add-axis, .axis-add button").click();
    await fillAxis(page, 2, ["n | x"]);
    await page.getByRole("button", { name: "Add a parameter" }).click();
    await page.getByLabel("Seeds").selectOption("per_cell");
    await page.getByLabel("Name", { exact: true }).fill("三个场景与四个 CFG");
    const ready = async () => {
      await page.locator(".plan-count").waitFor();
      await page.locator(".loading-plan").waitFor({ state: "detached" });
    };
    await ready();
    await checkLooks(page, "new_run", ready);
  },
});

Deno.test({
  name:
    "a configuration of the old frontend is imported as it is, and files that are none are refused in words",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openSignedIn(rig, "/new");
    const { page } = opened;
    const choose = async (name: string, text: string) =>
      await page.locator("input[type=file]").setInputFiles({
        name,
        mimeType: "application/json",
        buffer: Buffer.from(text),
      });
    await page.locator(".axis").first().waitFor();
    await choose("notes.txt", "hello");
    await page.locator(".toast-text", { hasText: "This file is no JSON" }).waitFor();
    await choose("empty.json", "{}");
    await page.locator(".toast-text", { hasText: "This file has no tags" }).waitFor();
    const configuration = {
      task_name: "old grid",
      username: "",
      tags: [
        { id: "9", type: "prompt", isVariable: false, value: "best quality", weight: 1 },
        { id: "1", type: "character", isVariable: true, value: "", name: "character_0", color: "#e1c838" },
        { id: "2", type: "seed", isVariable: true, value: "", name: "seed_1" },
        { id: "3", type: "ratio", isVariable: false, value: "3:4" },
      ],
      variables: {
        v0: {
          tag_id: "1",
          name: "character_0",
          values: [
            {
              id: "a",
              value: "水彩",
              weight: 0.7,
              uuid: "1540e467-8b2b-4834-9419-134252fbbadb",
              header_img: "https://img.example.com/a.webp",
            },
            { id: "b", value: "line\nbreak", weight: 1, uuid: "c687605d-d2d0-4678-8c82-c9dc76a8be8a" },
          ],
        },
        v1: {
          tag_id: "2",
          name: "seed_1",
          values: [{ id: "c", value: "11" }, { id: "d", value: "22" }, { id: "e", value: "33" }],
        },
        v2: { name: "", values: [] },
      },
      settings: { concurrency: 5 },
      createdAt: 1,
    };
    await choose("old.json", JSON.stringify(configuration));
    await page.getByText("6 images", { exact: true }).waitFor();
    await page.locator(".toast-text", { hasText: "Imported: 2 axes and 2 parameters" }).waitFor();
    assert.equal(
      await page.locator(".axis textarea").first().inputValue(),
      "水彩 | 1540e467-8b2b-4834-9419-134252fbbadb | 0.7 | https://img.example.com/a.webp\n" +
        "line↵break | c687605d-d2d0-4678-8c82-c9dc76a8be8a | 1",
    );
    await page.getByRole("button", { name: "Draw 6 images" }).click();
    await page.waitForURL(/\/console\/runs\//);
    const id = page.url().split("/").at(-1)!;
    const { body } = await call(rig.api, rig.people.user, "GET", `/tasks/${id}/order`);
    const strip = ({ id: _, ...rest }: Record<string, unknown>) => rest;
    assert.deepEqual(body.tags.map(strip), configuration.tags.map(strip));
    assert.deepEqual(body.variables.v0.values.map(strip), configuration.variables.v0.values.map(strip));
    assert.deepEqual([body.seed_policy, body.settings], ["per_cell", { concurrency: 5 }]);
  },
});

Deno.test({
  name: "an existing run is the start of a new one, and a refused value is named where it stands",
  ignore,
  async fn() {
    await using rig = await startConsole();
    const from = await addRun(rig, rig.people.other, {
      name: "first",
      axes: { prompt: prompts, steps: ["20", "30"] },
    });
    await using opened = await openSignedIn(rig, `/new?from=${from}`);
    const { page } = opened;
    await page.getByText("12 images", { exact: true }).waitFor();
    assert.equal(await page.getByLabel("Name", { exact: true }).inputValue(), "first (copy)");
    await fillAxis(page, 1, Array.from({ length: 1001 }, (_, i) => String(i)));
    await page.locator(".axis").nth(1).getByText("at most 1000 values").waitFor();
    await fillAxis(page, 1, ["20", "30"]);
    await page.getByText("12 images", { exact: true }).waitFor();

    // The network goes while the run is created: nothing is lost, and it is created once.
    await page.context().setOffline(true);
    await page.getByRole("button", { name: "Draw 12 images" }).click();
    await page.getByText("The server cannot be reached").first().waitFor();
    await page.context().setOffline(false);
    await page.getByRole("button", { name: "Draw 12 images" }).click();
    await page.waitForURL(/\/console\/runs\//);
    const count = async () =>
      (await call(rig.api, rig.people.user, "GET", "/tasks?mine=true")).body.items.length;
    await waitFor("one run", async () => await count() === 1);
  },
});
