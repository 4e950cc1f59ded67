/**
 * Scripts of the fake image API: `@@create:ACTION*N` and `@@poll:ACTION*N` anywhere in a prompt.
 *
 * `*N` limits a script to the first N jobs. Actions of `create` are an HTTP status such as `500`, `451` or `429`,
 * `nouuid` (JSON without an id), `text` (an HTML page) and `hang` (30 s). Actions of `poll` are a task status such as
 * `FAILURE`, `TIMEOUT` or a permanent `PENDING`, `EMPTY` (done without an artifact), an HTTP status such as `404`, and
 * `text`.
 */
export interface Scripts {
  create?: string;
  poll?: string;
}

const pattern = /@@(create|poll):([A-Za-z_]+|\d{3})(?:\*(\d+))?/g;

/**
 * Returns the scripts that apply to a request. Equal requests (same seed, same prompts) are attempts of one subtask.
 *
 * @param playCounts number of times that each script was followed, by script and body; it is updated
 */
export function readScripts(body: string, playCounts: Map<string, number>): Scripts {
  const scripts: Scripts = {};
  if (!body.includes("@@")) return scripts;
  for (const [script, call, action, max] of body.matchAll(pattern)) {
    const key = `${script} ${body}`;
    const times = (playCounts.get(key) ?? 0) + 1;
    if (max !== undefined && times > Number(max)) continue;
    // A poll script applies only if the request creates a job.
    if (call === "poll" && scripts.create !== undefined && scripts.create !== "hang") continue;
    playCounts.set(key, times);
    scripts[call as keyof Scripts] = action!;
  }
  return scripts;
}
