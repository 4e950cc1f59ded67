/** How many more ratings decide which of the two best values is better. */
import { useEffect, useState } from "preact/hooks";
import { unwrap, v2 } from "../../api/client.ts";
import { useResource } from "../../api/use_resource.ts";
import { judgeTexts } from "../../judge/texts.ts";
import { withAxis } from "../../matrix/names.ts";
import { readChoice } from "../results/choice.ts";
import { type Run, type RunState, useCellUpdates } from "../run/run_state.ts";

/** Shortest time between two readings while people rate. */
const updateMs = 10_000;

/** Reads the scores of the axis that the page Results shows first, against the level with the highest mean. */
function useScores(run: Run, state: RunState) {
  const [baseline, setBaseline] = useState(0);
  const axis = readChoice(run)?.axis.axis;
  const scores = useResource(async (signal) => {
    if (axis === undefined) return undefined;
    const query = { axis, measure: "mean", baseline };
    return await unwrap(
      v2.GET("/api/v2/tasks/{id}/stats", { params: { path: { id: run.id }, query }, signal }),
    );
  }, [run.id, axis, baseline]);
  useCellUpdates(state, updateMs, scores.reload);
  const { data } = scores;
  const [best] = (data?.levels ?? []).toSorted((a, b) => (b.mean?.value ?? 0) - (a.mean?.value ?? 0));
  useEffect(() => {
    if (best) setBaseline(best.level);
  }, [best?.level]);
  return data && best && data.baseline === best.level ? { data, best } : undefined;
}

/** The budget in words. Nothing is shown where v2 names none, and to people from whom ratings are hidden. */
export function Budget({ run, state }: { run: Run; state: RunState }) {
  const found = useScores(run, state);
  if (!found) return null;
  const { data: { axis, levels }, best } = found;
  const open = levels.filter(({ against }) => against?.images_to_decide);
  const [rival] = open.toSorted((a, b) => (b.mean?.value ?? 0) - (a.mean?.value ?? 0));
  if (!rival) return null;
  const { budget } = judgeTexts.value;
  const images = rival.against!.images_to_decide!;
  return (
    <p class="rate-budget muted small">
      {budget(images, withAxis(axis.name, best.label), withAxis(axis.name, rival.label))}
    </p>
  );
}
