/** The selected measure and axes. */
import { LinkButton } from "../../kit/button.tsx";
import { type Option, Segmented, Select } from "../../kit/field.tsx";
import { setQuery } from "../../kit/router.tsx";
import { isMember } from "../run/actions.ts";
import type { Run } from "../run/run_state.ts";
import type { Choice, RunAxis } from "./choice.ts";
import { measureNames, type Stats } from "./measures.ts";
import { resultsTexts } from "./texts.ts";

const toOption = ({ axis, name, length }: RunAxis) => ({ value: axis, label: `${name || axis} (${length})` });

/** Choices by the name of their parameter: the present value and all values. Those with one value are not shown. */
function listPicks({ axes, axis, by, others, measure, isBestFirst }: Choice, stats: Stats | undefined) {
  const t = resultsTexts.value;
  const none = { value: "none", label: t.none };
  const levels = measure === "mean" && stats ? stats.levels : [];
  const picks: ["axis" | "by" | "baseline" | "order", string, Option<string>[]][] = [
    ["axis", axis.axis, axes.map(toOption)],
    ["by", by?.axis ?? "none", [none, ...others.map(toOption)]],
    [
      "baseline",
      String(stats?.baseline),
      levels.map(({ level, label }) => ({ value: String(level), label: label.slice(0, 80) })),
    ],
    [
      "order",
      isBestFirst ? "best" : "",
      [{ value: "", label: t.inOrder }, { value: "best", label: t.bestFirst }],
    ],
  ];
  return picks.filter(([, , options]) => options.length > 1);
}

export function Toolbar({ run, choice, stats }: { run: Run; choice: Choice; stats: Stats | undefined }) {
  const t = resultsTexts.value;
  return (
    <div class="results-toolbar">
      <Segmented
        label={t.measure}
        value={choice.measure}
        options={measureNames.map((value) => ({ value, label: t.measures[value] }))}
        onChange={(measure) => setQuery({ measure })}
      />
      {listPicks(choice, stats).map(([name, value, options]) => (
        <Select
          key={name}
          label={t.picks[name]}
          value={value}
          options={options}
          onChange={(chosen) =>
            setQuery({ ...(name === "axis" ? { by: undefined, baseline: undefined } : {}), [name]: chosen })}
        />
      ))}
      <span class="grow" />
      {isMember() && <LinkButton to={`/compare?tasks=${run.id}`} icon="swap">{t.compare.open}</LinkButton>}
    </div>
  );
}
