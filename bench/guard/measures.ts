/** What the guard measures at each commit: short runs of benches with options that earlier commits know too. */

/** A run of a bench. */
export interface Measure {
  name: string;
  bench: string;
  args: string[];
  /** Names of the figures that are compared. Others are too noisy, or not ours. */
  figures: RegExp;
}

const http = (name: string, only: string): Measure => ({
  name,
  bench: "http",
  args: ["--seconds", "2", "--rounds", "1", "--tasks", "1000", "--only", only],
  figures: /, (p50|rate)$|, compared with the minimal handler$/,
});

export const measures: Measure[] = [
  http("me", "users/me"),
  http("list", "list"),
  http("detail", "detail 3,024"),
  { name: "plan", bench: "v2", args: ["--quick", "--only", "plan"], figures: /, p50$/ },
  {
    name: "load",
    bench: "load",
    args: ["--subtasks", "20000", "--rounds", "1", "--times", "1"],
    figures: /^(data|load) .*(as a multiple of (copy|load)|highest memory)$/,
  },
  {
    name: "queue",
    bench: "queue",
    args: ["--quick", "--only", "throughput"],
    figures: /^contactsheet(?! ÷)/,
  },
];
