/** Runs one bench as a process of its own and reads its report. */
import { noSettings } from "../../dev/servers/programs.ts";
import { parseReport, type RunReport } from "../report.ts";
import { endTree } from "./end_tree.ts";

/** How a bench ended. */
export interface Ended {
  exitCode: number;
  /** Absent if its last line is no report. */
  report?: RunReport;
}

export interface RunOptions {
  /** Arguments besides `--json`. */
  args: string[];
  /** Folder of the project whose bench runs. */
  root: URL;
  /** A bench that takes longer is ended. */
  minutesMax: number;
  signal: AbortSignal;
  /** Whether its messages are shown. */
  isQuiet?: boolean;
}

const exitTooLong = 124;

/** Creates a folder for temporary files, which the account of the embedded PostgreSQL can enter. */
async function createFolder(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  await Deno.chmod(folder, 0o755);
  return folder;
}

/**
 * Runs a bench and removes its temporary files. After the abort of the signal it ends the bench with its servers.
 *
 * @throws the reason of the abort
 */
export async function runBench(
  name: string,
  { args, root, minutesMax, signal, isQuiet = false }: RunOptions,
): Promise<Ended> {
  signal.throwIfAborted();
  const folder = await createFolder();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", new URL(`bench/${name}/main.ts`, root).pathname, ...args, "--json"],
    cwd: root,
    env: { ...noSettings, NO_COLOR: "1", TMPDIR: folder },
    stdin: "null",
    stdout: "piped",
    stderr: isQuiet ? "null" : "inherit",
  }).spawn();
  let isTooLong = false;
  let ending: Promise<void> | undefined;
  const end = () => ending ??= endTree(child.pid);
  const timer = setTimeout(() => {
    isTooLong = true;
    void end();
  }, minutesMax * 60_000);
  signal.addEventListener("abort", end);
  try {
    const text = await new Response(child.stdout).text();
    const { code } = await child.status;
    await ending;
    signal.throwIfAborted();
    const exitCode = isTooLong ? exitTooLong : code;
    const report = parseReport(text);
    return report ? { exitCode, report } : { exitCode };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", end);
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}
