/** `deno task console:shots`: takes the pictures of the console that README and docs show. */
import { Command } from "commander";
import { AppError } from "../../errors.ts";
import { printError, runMain } from "../../process.ts";
import { createTemplate } from "../../tests/run.ts";
import {
  type ConsoleRig,
  type Look,
  openSignedIn,
  startConsole,
} from "../../tests/console/support/console.ts";
import { addRun } from "../../tests/console/support/runs.ts";
import { hasBrowser } from "../../tests/support/browser.ts";
import { parseOptions } from "../command_line.ts";
import { startPostgres } from "../servers/postgres.ts";

/** Maximum size of a picture, so that the repository stays small. */
const bytesMax = 200 * 1024;

const command = new Command("deno task console:shots")
  .description("Takes the pictures of the console for README and docs, in both languages, with seeded runs.")
  .option("--to <folder>", "folder of the pictures", "docs/pictures");

/** A page in its picture. */
interface Shot {
  name: string;
  path: (runs: Runs) => string;
  /** Element that is there when the page is complete. */
  ready: string;
}

interface Runs {
  full: string;
  other: string;
}

/** The images on the pages where one judges. */
const stage = '.judge-stage[data-state="ready"]';

const shots: Shot[] = [
  { name: "runs", path: () => "/", ready: ".strip-frame img" },
  { name: "new_run", path: ({ full }) => `/new?from=${full}`, ready: ".plan-count" },
  { name: "matrix", path: ({ full }) => `/runs/${full}?zoom=32`, ready: ".matrix-node" },
  { name: "rate", path: ({ full }) => `/runs/${full}/rate`, ready: stage },
  { name: "pairs", path: ({ full }) => `/runs/${full}/pairs`, ready: stage },
  { name: "results", path: ({ full }) => `/runs/${full}/results?axis=v1&by=v0`, ready: "table" },
  { name: "compare", path: ({ full, other }) => `/compare?tasks=${full},${other}`, ready: "table" },
];

const prompts = [
  "雨中的寺庙",
  "a lighthouse at dawn",
  "a fox in the snow",
  "an old tram in the rain",
  "a market",
];

/** Adds runs in different states, with ratings that favour some values. */
async function addRuns(rig: ConsoleRig): Promise<Runs> {
  const { user, other, admin } = rig.people;
  const axes = {
    prompt: [...prompts, "a harbour in winter", "a reading cat"],
    cfg: ["4", "7", "10"],
    seed: Array.from({ length: 12 }, (_, i) => String(i + 1)),
  };
  // Cells are numbered row by row: 36 for each prompt, 12 for each cfg.
  const starsOf = (cell: number, rater: number) =>
    (cell * 31 + rater * 7) % 5 === 0
      ? undefined
      : Math.min(5, Math.max(1, 2 + Math.floor(cell / 12) % 3 + (cell * 13 + rater * 5) % 3 - 1));
  const raters = [user, other, admin];
  const old = await addRun(rig, user, { name: "海港 · 第一轮", axes, minutesAgo: 3000, raters, starsOf });
  await addRun(rig, other, {
    name: "portraits, two styles",
    axes: { prompt: prompts, style: ["ink", "oil"], seed: ["1", "2", "3", "4"] },
    states: { pending: 0.5, processing: 0.1, failed: 0.05 },
    minutesAgo: 12,
  });
  await addRun(rig, user, {
    name: "weights of the fox",
    axes: { prompt: ["a fox"], seed: axes.seed },
    states: { pending: 1 },
    hold: "pause",
    minutesAgo: 90,
  });
  const full = await addRun(rig, user, {
    name: "harbour and temple",
    axes,
    states: { failed: 0.04 },
    raters,
    starsOf,
    minutesAgo: 40,
  });
  return { full, other: old };
}

async function take(rig: ConsoleRig, runs: Runs, shot: Shot, look: Look, file: string): Promise<void> {
  const size = { width: 1200, height: 760 };
  await using opened = await openSignedIn(rig, shot.path(runs), { ...size, ...look });
  const { page } = opened;
  await page.emulateMedia({ reducedMotion: "reduce" });
  await page.locator(shot.ready).first().waitFor({ state: "attached" });
  await page.waitForLoadState("load");
  // Images arrive after the element.
  await page.waitForTimeout(4000);
  const bytes = await page.screenshot();
  if (bytes.length > bytesMax) {
    throw new AppError("internal", `taking '${file}': ${bytes.length} bytes, wanted at most ${bytesMax}`);
  }
  await Deno.writeFile(file, bytes);
  printError(`${file}: ${Math.round(bytes.length / 1024)} KB`);
}

async function main(): Promise<number> {
  const options = parseOptions<{ to: string }>(command, Deno.args);
  if (options === undefined) return 0;
  if (!hasBrowser) throw new AppError("usage", "taking pictures: no chromium on PATH, and no CHROMIUM_PATH");
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-shots-" });
  await using server = await startPostgres({ folder, keep: false, durable: false });
  await createTemplate(server.url);
  // The rig of the console's tests creates its database there.
  Deno.env.set("TEST_POSTGRES_URL", server.url("postgres"));
  await using rig = await startConsole();
  const runs = await addRuns(rig);
  await Deno.mkdir(`${options.to}/zh`, { recursive: true });
  for (const shot of shots) {
    await take(rig, runs, shot, { language: "en" }, `${options.to}/${shot.name}.png`);
    await take(rig, runs, shot, { language: "zh" }, `${options.to}/zh/${shot.name}.png`);
  }
  return 0;
}

if (import.meta.main) await runMain(main);
