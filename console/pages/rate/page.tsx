/** Page Rate: one image after another, by keys or by touch. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { Button, LinkButton } from "../../kit/button.tsx";
import { announce } from "../../kit/live.tsx";
import { Loading } from "../../kit/states.tsx";
import { useShortcuts } from "../../kit/shortcuts.ts";
import { placesOf } from "../../judge/image.ts";
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
import { isMember } from "../run/actions.ts";
import { RunFrame } from "../run/frame.tsx";
import { type Run, type RunState, useRun } from "../run/run_state.ts";
import { Budget } from "./budget.tsx";
import { SkipDialog, TagDialog, TextDialog } from "./dialogs.tsx";
import { type Mark, Rating } from "./rating.ts";

const starValues = [1, 2, 3, 4, 5];
/** Number of last marks that stay in sight. */
const trailMax = 12;

const dialogs = { skip: SkipDialog, text: TextDialog, tag: TagDialog };
type DialogName = keyof typeof dialogs;

/** The last marks. Each leads back to its image. */
function Trail({ rating: { deck, marks } }: { rating: Rating }) {
  const t = judgeTexts.value;
  const end = deck.at.value;
  const from = Math.max(0, end - trailMax);
  return (
    <ol class="rate-trail" aria-label={t.trail}>
      {deck.cards.value.slice(from, end).map(({ cell }, i) => {
        const mark = marks.value.get(cell);
        const sign = mark ? mark.stars ?? "–" : "·";
        return (
          <li key={from + i}>
            <button
              type="button"
              data-stars={mark?.stars}
              aria-label={t.trailItem(cell, describe(mark))}
              onClick={() => deck.go(from + i)}
            >
              {sign}
            </button>
          </li>
        );
      })}
    </ol>
  );
}

/** Returns a mark in words. */
function describe(mark: Mark | undefined): string {
  const t = judgeTexts.value;
  return mark ? mark.stars === undefined ? t.skipped(mark.skipped ?? "") : t.rated(mark.stars) : t.unrated;
}

/** Returns the actions of keys and buttons. */
function createActions(rating: Rating, open: Signal<DialogName | undefined>) {
  const t = judgeTexts.value;
  return {
    rate(stars: number) {
      const card = rating.visible;
      if (!card) return;
      rating.mark(card, { stars });
      announce(t.rated(stars));
    },
    clear: () => rating.clear(),
    undo: () => announce(rating.undo() ? t.undone : t.nothingToUndo),
    open(name: DialogName) {
      if (rating.deck.current.peek()) open.value = name;
    },
    favourite: () => rating.toggleFavourite(),
    move: (step: number) => rating.deck.go(rating.deck.at.peek() + step),
  };
}
type Actions = ReturnType<typeof createActions>;

function useKeys(actions: Actions): void {
  const { keys, title } = judgeTexts.value;
  useShortcuts(title.rate, [
    {
      keys: starValues.map(String),
      label: keys.rate,
      run: ({ key, repeat }) => {
        // A key that is held down rates one image.
        if (!repeat) actions.rate(Number(key));
      },
    },
    { keys: ["0"], label: keys.clear, run: actions.clear },
    { keys: ["u"], label: keys.undo, run: actions.undo },
    { keys: ["k"], label: keys.skip, run: () => actions.open("skip") },
    { keys: ["e"], label: keys.text, run: () => actions.open("text") },
    { keys: ["t"], label: keys.tag, run: () => actions.open("tag") },
    ...(isMember() ? [{ keys: ["f"], label: keys.favourite, run: actions.favourite }] : []),
    { keys: ["ArrowRight"], label: keys.next, run: () => actions.move(1) },
    { keys: ["ArrowLeft"], label: keys.previous, run: () => actions.move(-1) },
    { keys: ["b"], label: keys.blind, run: toggleBlind },
  ]);
}

/** The buttons under the image. */
function Controls({ rating, actions }: { rating: Rating; actions: Actions }) {
  const t = judgeTexts.value;
  const card = rating.deck.current.value;
  const mark = card && rating.marks.value.get(card.cell);
  const isFavourite = card !== undefined && rating.favourites.value.has(card.cell);
  return (
    <div class="rate-controls">
      <div class="rate-stars" role="group" aria-label={t.keys.rate}>
        {starValues.map((stars) => (
          <button
            key={stars}
            type="button"
            class="rate-star"
            aria-pressed={mark?.stars === stars}
            aria-label={t.rate(stars)}
            disabled={card?.picture.state.value !== "ready"}
            onClick={() => actions.rate(stars)}
          >
            {stars}
          </button>
        ))}
      </div>
      <div class="judge-more">
        <Button icon="left" class="icon-only" aria-label={t.keys.previous} onClick={() => actions.move(-1)} />
        <Button icon="right" class="icon-only" aria-label={t.keys.next} onClick={() => actions.move(1)} />
        <Button icon="retry" onClick={actions.undo}>{t.actions.undo}</Button>
        <Button disabled={!mark} onClick={actions.clear}>{t.actions.clear}</Button>
        <Button disabled={!card} onClick={() => actions.open("skip")}>{t.actions.skip}</Button>
        <Button icon="edit" disabled={!card} onClick={() => actions.open("text")}>{t.actions.text}</Button>
        <Button icon="plus" disabled={!card} onClick={() => actions.open("tag")}>{t.actions.tag}</Button>
        {isMember() && (
          <Button icon="star" disabled={!card} aria-pressed={isFavourite} onClick={actions.favourite}>
            {t.actions.favourite}
          </Button>
        )}
      </div>
    </div>
  );
}

function RatePane({ run, state }: { run: Run; state: RunState }) {
  const t = judgeTexts.value;
  const rating = useMemo(() => new Rating(run.id), []);
  const { deck } = rating;
  useDeck(deck, run.cells.completed);
  const open = useSignal<DialogName | undefined>(undefined);
  const actions = createActions(rating, open);
  useKeys(actions);
  useEffect(() => rating.follow(isBlindNow), []);
  useEffect(() => {
    // If this fails, the star shows only changes of this visit.
    if (isMember()) rating.readFavourites().catch(() => {});
  }, []);
  const card = deck.current.value;
  const mark = card && rating.marks.value.get(card.cell);
  const OpenDialog = open.value && dialogs[open.value];
  return (
    <div class="judge">
      <JudgeBar id={run.id} current="rate" isForcedBlind={card !== undefined && !card.at} />
      <div class="judge-stage" data-cell={card?.cell} data-state={card?.picture.state.value}>
        {card ? <Frame picture={card.picture} alt={t.image(card.cell, describe(mark))} /> : (
          <Instead
            deck={deck}
            title={run.cells.completed === 0 ? t.noImages : t.allRated}
            text={run.cells.open > 0 ? t.moreComing : t.allRatedText}
            action={<LinkButton kind="primary" to={`/runs/${run.id}/results`}>{t.toResults}</LinkButton>}
          />
        )}
      </div>
      <div class="judge-foot">
        {!isBlindNow() && <Budget run={run} state={state} />}
        <Trail rating={rating} />
        {card && !isBlindNow() && <Places places={placesOf(run.axes, card)} />}
        <Controls rating={rating} actions={actions} />
      </div>
      {OpenDialog && card && (
        <OpenDialog rating={rating} card={card} onClose={() => (open.value = undefined)} />
      )}
    </div>
  );
}

export function RatePage({ id }: { id: string }) {
  const state = useRun(id);
  const isOpen = useOutbox();
  return (
    <RunFrame id={id} state={state} tab="rate" class="run">
      {(run) => isOpen ? <RatePane run={run} state={state} /> : <Loading />}
    </RunFrame>
  );
}
