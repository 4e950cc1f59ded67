/** `deno task bench console`: measures the console in Chromium against its goals. `--help` lists the options. */
import { Command, Option } from "commander";
import { parseOptions } from "../../dev/command_line.ts";
import { AppError } from "../../errors.ts";
import { runMain } from "../../process.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { createTemplate } from "../../tests/run.ts";
import { hasBrowser } from "../../tests/support/browser.ts";
import { openReport } from "../report.ts";
import { benchMatrix, type MatrixOptions } from "./matrix.ts";
import { benchRating, type RatingOptions } from "./rating.ts";

interface Options {
  quick?: true;
  json?: true;
  only?: "matrix" | "rating";
}

const command = new Command("deno task bench console")
  .description("Measures the console in Chromium over the real API: a run of 50,000 cells, and rating.")
  .option("--quick", "10,000 cells instead of 50,000, and shorter scrolling")
  .addOption(new Option("--only <part>", "measure one part").choices(["matrix", "rating"]))
  .option("--json", "print one line of JSON");

const usual: MatrixOptions = { cells: 50_000, scrollSeconds: 10, memorySeconds: 600, changes: 60 };
const short: MatrixOptions = { cells: 10_000, scrollSeconds: 3, memorySeconds: 20, changes: 10 };
const usualRating: RatingOptions = { ratings: 1000, cutSeconds: 30 };
const shortRating: RatingOptions = { ratings: 150, cutSeconds: 4 };

async function main(): Promise<number> {
  const options = parseOptions<Options>(command, Deno.args);
  if (options === undefined) return 0;
  if (!hasBrowser) {
    throw new AppError("usage", "measuring the console: no chromium on PATH, and no CHROMIUM_PATH");
  }
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  await using server = await startPostgres({ folder, keep: false, durable: false });
  await createTemplate(server.url);
  // The rig of the console's tests creates its database there.
  Deno.env.set("TEST_POSTGRES_URL", server.url("postgres"));
  const startedAt = performance.now();
  const report = openReport(options.json === true);
  if (options.only !== "rating") await benchMatrix(options.quick ? short : usual, report.add);
  if (options.only !== "matrix") await benchRating(options.quick ? shortRating : usualRating, report.add);
  report.end((performance.now() - startedAt) / 1000);
  return 0;
}

if (import.meta.main) await runMain(main);
