/** A real Prometheus that scrapes every second and evaluates expressions. */
import { parse } from "yaml";
import { AppError } from "../../../errors.ts";
import { findFreePort } from "../../servers/ports.ts";
import { retry } from "../servers.ts";

const alertsUrl = new URL("../../../deploy/prometheus/alerts.yml", import.meta.url);

/** A job and the port that answers its /metrics. */
export interface Target {
  job: string;
  port: number;
}

export interface Prometheus extends AsyncDisposable {
  /** Evaluates an expression now. @returns the number of series that it is true for */
  count(expr: string): Promise<number>;
}

/** Reads the expressions of all alerts by name. */
export async function readAlerts(): Promise<Map<string, string>> {
  const { groups } = parse(await Deno.readTextFile(alertsUrl));
  return new Map(
    groups.flatMap(({ rules }: { rules: { alert: string; expr: string }[] }) =>
      rules.map(({ alert, expr }) => [alert, expr] as const)
    ),
  );
}

async function writeConfiguration(folder: string, targets: Target[]): Promise<string> {
  const jobs = [...new Set(targets.map(({ job }) => job))].map((job) => ({
    job_name: job,
    static_configs: [{
      targets: targets.filter((target) => target.job === job).map(({ port }) => `127.0.0.1:${port}`),
    }],
  }));
  const path = `${folder}/prometheus.yml`;
  // JSON is YAML.
  const global = { scrape_interval: "1s", scrape_timeout: "1s", evaluation_interval: "1s" };
  await Deno.writeTextFile(
    path,
    JSON.stringify({ global, rule_files: [alertsUrl.pathname], scrape_configs: jobs }),
  );
  return path;
}

/**
 * Starts Prometheus.
 *
 * @throws AppError source_missing with the command that installs it
 */
export async function startPrometheus(targets: Target[]): Promise<Prometheus> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-prometheus-" });
  const port = findFreePort();
  const origin = `http://127.0.0.1:${port}`;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command("prometheus", {
      args: [
        `--config.file=${await writeConfiguration(folder, targets)}`,
        `--storage.tsdb.path=${folder}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--log.level=error",
      ],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
  } catch (cause) {
    const text = "starting Prometheus: it is not installed; run 'apt-get install prometheus'";
    throw new AppError("source_missing", text, { cause });
  }
  await retry(async () => {
    const answer = await fetch(`${origin}/-/ready`);
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
  });
  return {
    async count(expr) {
      const answer = await fetch(`${origin}/api/v1/query`, {
        method: "POST",
        body: new URLSearchParams({ query: expr }),
      });
      const { status, error, data } = await answer.json();
      if (status !== "success") throw new AppError("internal", `evaluating '${expr}': ${error}`);
      return data.result.length;
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
      await Deno.remove(folder, { recursive: true });
    },
  };
}
