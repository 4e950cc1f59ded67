/** Page Pairs: which of two images is better, by keys or by touch. */
import { useSignalEffect } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { Button, LinkButton } from "../../kit/button.tsx";
import { Select } from "../../kit/field.tsx";
import { announce } from "../../kit/live.tsx";
import { query, setQuery } from "../../kit/router.tsx";
import { useShortcuts } from "../../kit/shortcuts.ts";
import { Loading } from "../../kit/states.tsx";
import { placesOf, type Shown } from "../../judge/image.ts";
import {
  Frame,
  Instead,
  isBlindNow,
  JudgeBar,
  Places,
  toggleBlind,
  useDeck,
  useOutbox,
} from "../../judge/parts.tsx";
import { judgeTexts } from "../../judge/texts.ts";
import { RunFrame } from "../run/frame.tsx";
import { type Run, useRun } from "../run/run_state.ts";
import { type Outcome, type PairCard, Voting } from "./voting.ts";

type Choice = "left" | "right" | "tie" | "bad";
const choices: readonly Choice[] = ["left", "tie", "bad", "right"];
const keysOf: Record<Choice, string> = {
  left: "ArrowLeft",
  right: "ArrowRight",
  tie: "ArrowDown",
  bad: "ArrowUp",
};
const arrows: Record<Choice, string> = { left: "←", tie: "↓", bad: "↑", right: "→" };
const outcomeOf: Record<Choice, Outcome> = { left: "left", right: "right", tie: "tie", bad: "tie" };

/** Returns the values on which both images agree, or those of one image on which they differ. */
const placesOfSide = (run: Run, card: PairCard, side: Shown, areShared: boolean) => {
  const [left, right] = [placesOf(run.axes, card.left), placesOf(run.axes, card.right)];
  return placesOf(run.axes, side).filter((_, i) => (left[i]?.[1] === right[i]?.[1]) === areShared);
};

function AxisPicker({ run, axis }: { run: Run; axis: string }) {
  const axes = run.axes.filter(({ axis, length }) => length > 1 && axis !== "batch");
  if (axes.length < 2) return null;
  return (
    <div class="pairs-axis">
      <Select
        label={judgeTexts.value.compared}
        value={axis}
        options={axes.map(({ axis, name }) => ({ value: axis, label: name || axis }))}
        onChange={(next) => setQuery({ axis: next })}
      />
    </div>
  );
}

function Side({ run, card, side, name }: { run: Run; card: PairCard; side: Shown; name: string }) {
  return (
    <figure class="pairs-side">
      <Frame picture={side.picture} alt={name} />
      <figcaption>
        {!isBlindNow() && side.at && <Places places={placesOfSide(run, card, side, false)} />}
      </figcaption>
    </figure>
  );
}

function PairsPane({ run, axis }: { run: Run; axis: string | undefined }) {
  const t = judgeTexts.value;
  const voting = useMemo(() => new Voting(run.id, axis), []);
  const { deck } = voting;
  useDeck(deck, run.cells.completed);
  const card = deck.current.value;
  const isForcedBlind = card !== undefined && !card.left.at;
  const isReady = card !== undefined && card.pictures.every(({ state }) => state.value === "ready");
  const vote = (choice: Choice) => {
    if (voting.vote(outcomeOf[choice], isForcedBlind || isBlindNow())) announce(t.choices[choice]);
  };
  const skip = () => voting.vote("skip", isForcedBlind || isBlindNow());
  const undo = () => announce(voting.undo() ? t.undone : t.nothingToUndo);
  useSignalEffect(() => {
    if (deck.current.value?.pictures.every(({ state }) => state.value === "ready")) {
      voting.shownAt = performance.now();
    }
  });
  useShortcuts(t.title.pairs, [
    ...choices.map((choice) => ({
      keys: [keysOf[choice]],
      label: t.choices[choice],
      run: ({ repeat }: KeyboardEvent) => void (repeat || vote(choice)),
    })),
    { keys: ["k"], label: t.cannotTell, run: skip },
    { keys: ["u"], label: t.keys.undo, run: undo },
    { keys: ["b"], label: t.keys.blind, run: toggleBlind },
  ]);
  return (
    <div class="judge">
      <JudgeBar id={run.id} current="pairs" isForcedBlind={isForcedBlind}>
        <AxisPicker run={run} axis={axis ?? card?.axis ?? ""} />
      </JudgeBar>
      <div class="judge-stage pairs-stage" data-pair={card?.key} data-state={isReady ? "ready" : "loading"}>
        {card
          ? (["left", "right"] as const).map((side) => (
            <Side key={side} run={run} card={card} side={card[side]} name={t.sides[side]} />
          ))
          : (
            <Instead
              deck={deck}
              title={t.allVoted}
              text={t.allVotedText}
              action={<LinkButton kind="primary" to={`/runs/${run.id}/results`}>{t.toResults}</LinkButton>}
            />
          )}
      </div>
      <div class="judge-foot">
        {card && !isBlindNow() && <Places places={placesOfSide(run, card, card.left, true)} />}
        <div class="pairs-choices">
          {choices.map((choice) => (
            <Button
              key={choice}
              class={`pairs-choice ${choice}`}
              disabled={!isReady}
              onClick={() => vote(choice)}
            >
              <span aria-hidden="true">{arrows[choice]}</span> {t.choices[choice]}
            </Button>
          ))}
        </div>
        <div class="judge-more">
          <Button icon="retry" onClick={undo}>{t.actions.undo}</Button>
          <Button disabled={!isReady} onClick={skip}>{t.cannotTell}</Button>
        </div>
      </div>
    </div>
  );
}

export function PairsPage({ id }: { id: string }) {
  const state = useRun(id);
  const isOpen = useOutbox();
  const axis = query.value.get("axis") ?? undefined;
  return (
    <RunFrame id={id} state={state} tab="rate" class="run">
      {(run) => isOpen ? <PairsPane key={axis} run={run} axis={axis} /> : <Loading />}
    </RunFrame>
  );
}
