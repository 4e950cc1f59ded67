/** nginx as deploy/nginx configures it: its share and colour stand in files, its counts in its log. */
import { AppError } from "../../errors.ts";
import {
  type Answers,
  type Colour,
  type Counts,
  type ProxyControl,
  readConfigFile,
  replaceFile,
} from "./proxy.ts";

/**
 * The text of site/split.conf. A share of 0 or 100 needs no range, and nginx permits none.
 *
 * @param percent share of this system, from 0 to 100
 */
export function formatSplit(percent: number): string {
  const ranges = percent >= 100
    ? ["* new;"]
    : percent <= 0
    ? ["* old;"]
    : [`${percent.toFixed(2)}% new;`, "* old;"];
  return [
    "# The share of this system. `deno task deploy split` rewrites this file.",
    "split_clients $split_key $read_side {",
    ...ranges.map((range) => `    ${range}`),
    "}",
    'map "" $write_side {',
    `    default ${percent >= 100 ? "new" : "old"};`,
    "}",
    "",
  ].join("\n");
}

const formatColour = (colour: Colour): string =>
  [
    "# The colour that answers: blue or green. `deno task deploy colour` rewrites this file.",
    'map "" $live {',
    `    default ${colour};`,
    "}",
    "",
  ].join("\n");

async function findDirective(path: string, name: string): Promise<string> {
  const value = new RegExp(`^\\s*${name}\\s+([^\\s;]+)`, "m").exec(await readConfigFile(path))?.[1];
  if (value === undefined) throw new AppError("invalid_config", `reading '${path}': it has no '${name}'`);
  return value;
}

/** @throws AppError invalid_config with nginx' message */
async function runNginx(folder: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("nginx", {
    args: [...args, "-q", "-p", `${folder}/`, "-c", "nginx.conf"],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).output();
  if (!success) {
    const text = new TextDecoder().decode(stderr).trim();
    throw new AppError(
      "invalid_config",
      `running 'nginx ${args.join(" ")}' on '${folder}/nginx.conf': ${text}`,
    );
  }
}

/** Counts the lines of the log that were added since the last call. A log that was rotated is read from its start. */
class LogCounter {
  #offset = 0;
  readonly #counts: Counts = { old: { requests: 0, errors: 0 }, new: { requests: 0, errors: 0 } };

  constructor(readonly path: string) {}

  async read(): Promise<Counts> {
    using file = await Deno.open(this.path);
    const { size } = await file.stat();
    if (size < this.#offset) this.#offset = 0;
    await file.seek(this.#offset, Deno.SeekMode.Start);
    const bytes = await new Response(file.readable).bytes();
    const end = bytes.lastIndexOf(10) + 1;
    this.#offset += end;
    for (const line of new TextDecoder().decode(bytes.subarray(0, end)).split("\n")) {
      if (line !== "") this.#count(line);
    }
    return structuredClone(this.#counts);
  }

  #count(line: string): void {
    const { side, status } = JSON.parse(line) as { side: string; status: number };
    if (side !== "old" && side !== "new") return;
    const answers: Answers = this.#counts[side];
    answers.requests++;
    if (status >= 500) answers.errors++;
  }
}

/**
 * Opens the nginx whose configuration stands in `folder`. Each change is checked with `nginx -t` before nginx reads it; a
 * change that does not pass is taken back.
 *
 * @throws AppError source_missing, invalid_config
 */
export async function openNginx(folder: string): Promise<ProxyControl> {
  const counter = new LogCounter(await findDirective(`${folder}/site/listen.conf`, "access_log"));
  const change = async (name: string, text: string): Promise<void> => {
    const path = `${folder}/site/${name}`;
    const before = await readConfigFile(path);
    await replaceFile(path, text);
    try {
      await runNginx(folder, ["-t"]);
    } catch (error) {
      await replaceFile(path, before);
      throw error;
    }
    await runNginx(folder, ["-s", "reload"]);
  };
  return {
    setShare: (percent) => change("split.conf", formatSplit(percent)),
    setColour: (colour) => change("live.conf", formatColour(colour)),
    readCounts: () => counter.read(),
  };
}
