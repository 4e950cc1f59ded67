/** Parts of both pages on which people judge: images, what is not sent, and what comes instead of an image. */
import { useSignalEffect } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { isOnline } from "../api/network.ts";
import { Button } from "../kit/button.tsx";
import { Checkbox } from "../kit/field.tsx";
import { Icon } from "../kit/icons.tsx";
import { Link, query, setQuery } from "../kit/router.tsx";
import { describeFailure, Empty, FailureBox, Loading, Notice } from "../kit/states.tsx";
import { common } from "../kit/texts.ts";
import type { Card, Deck } from "./deck.ts";
import { dropRefused, isVolatile, isWaiting, refused, startOutbox, unsent } from "./outbox.ts";
import type { Picture } from "./pictures.ts";
import { judgeTexts } from "./texts.ts";

/** Opens the outbox. @returns whether it is open */
export function useOutbox(): boolean {
  const [isOpen, setOpen] = useState(false);
  useEffect(() => void startOutbox().then(() => setOpen(true)), []);
  return isOpen;
}

/** Fills the deck of a page, and reads on when something new may be there. */
export function useDeck<T extends Card>(deck: Deck<T>, completed: number): void {
  useEffect(() => {
    void deck.fill();
    return () => void (deck.isLeft = true);
  }, []);
  useEffect(() => deck.refill(), [completed]);
  useSignalEffect(() => {
    // While something is not sent, the server offers it again.
    if (unsent.value.length === 0 && isOnline.value) deck.refill();
  });
}

/** Whether the person hides axes and values. The address has it. */
export const isBlindNow = (): boolean => query.value.has("blind");

export const toggleBlind = (): void => setQuery({ blind: isBlindNow() ? undefined : "1" });

/** A loaded image. */
export function Frame({ picture, alt }: { picture: Picture; alt: string }) {
  const host = useRef<HTMLDivElement>(null);
  const { value: state } = picture.state;
  const t = judgeTexts.value;
  useLayoutEffect(() => {
    picture.element.alt = alt;
    host.current!.replaceChildren(...(state === "ready" ? [picture.element] : []));
  }, [picture, alt, state]);
  return (
    <div class={`judge-frame ${state}`}>
      <div class="judge-image" ref={host} />
      {state === "loading" && <span class="sr-only">{common.value.loading}</span>}
      {state === "failed" && (
        <div class="judge-failed">
          <p>{t.imageFailed}</p>
          <Button icon="retry" onClick={() => picture.load()}>{common.value.retry}</Button>
        </div>
      )}
    </div>
  );
}

/** What is not sent, and why. It is there as long as something is. */
export function Unsent() {
  const t = judgeTexts.value;
  const count = unsent.value.length;
  const state = !isOnline.value ? t.offline : isWaiting.value ? t.waiting : t.sending;
  return (
    <span class="judge-unsent" data-unsent={count}>
      {count === 0 ? <span class="muted">{t.allSent}</span> : (
        <>
          <Icon name="upload" />
          <strong>{t.unsent(count)}</strong>
          <span class="muted">{state}</span>
        </>
      )}
    </span>
  );
}

/** Returns why an entry was refused, in words. */
function reasonOf({ code, message }: { code: string; message: string }): string {
  const { reasons } = judgeTexts.value;
  return reasons[code] ?? describeFailure({ code, message });
}

/** What the server will never accept, until the person drops it. */
function Refused() {
  const t = judgeTexts.value;
  const reasons = new Map<string, { text: string; task: string; cells: Set<number> }>();
  for (const { task, refusal, body, path } of refused.value) {
    const key = `${task} ${refusal!.code} ${refusal!.message}`;
    const found = reasons.get(key) ?? { text: reasonOf(refusal!), task, cells: new Set() };
    const { cell = Number(path.split("/")[2]) } = (body ?? {}) as { cell?: number };
    if (cell >= 0) found.cells.add(cell);
    reasons.set(key, found);
  }
  if (reasons.size === 0) return null;
  return (
    <div role="alert">
      <Notice kind="failed" action={<Button onClick={() => void dropRefused()}>{t.drop}</Button>}>
        <p>{t.refused(refused.value.length)}</p>
        <ul>
          {[...reasons].map(([key, { text, task, cells }]) => (
            <li key={key}>
              {text}{" "}
              {[...cells].slice(0, 8).map((cell) => (
                <Link key={cell} to={`/runs/${task}?cell=${cell}`} class="judge-cell">#{cell}</Link>
              ))}
            </li>
          ))}
        </ul>
      </Notice>
    </div>
  );
}

/** The line above the images: which way to judge, blind or not, what is not sent; and notices. */
export function JudgeBar({ id, current, isForcedBlind, children }: {
  id: string;
  current: "rate" | "pairs";
  /** The server hides the axes whatever the person wants. */
  isForcedBlind: boolean;
  children?: ComponentChildren;
}) {
  const t = judgeTexts.value;
  const suffix = isBlindNow() ? "?blind=1" : "";
  return (
    <>
      <div class="judge-bar">
        <nav class="segmented" aria-label={t.ways}>
          {(["rate", "pairs"] as const).map((way) => (
            <Link
              key={way}
              to={`/runs/${id}/${way}${suffix}`}
              class="segment"
              aria-current={way === current ? "page" : undefined}
            >
              <span>{t.way[way]}</span>
            </Link>
          ))}
        </nav>
        <Checkbox
          label={t.blind}
          checked={isForcedBlind || isBlindNow()}
          disabled={isForcedBlind}
          onChange={toggleBlind}
        />
        {children}
        <Unsent />
      </div>
      {isVolatile.value && <Notice kind="warning">{t.volatile}</Notice>}
      <Refused />
    </>
  );
}

/** Shown instead of images when there are none. */
export function Instead<T extends Card>({ deck, title, text, action }: {
  deck: Deck<T>;
  title: string;
  text: string;
  action?: ComponentChildren;
}) {
  const t = judgeTexts.value;
  const failure = deck.failure.value;
  if (failure?.code === "offline") return <Empty icon="warning" title={t.cutTitle}>{t.cut}</Empty>;
  if (failure) return <FailureBox failure={failure} retry={() => void deck.fill()} />;
  // The server may offer only cards whose judgements are not sent yet.
  if (!deck.isExhausted.value || unsent.value.length > 0) return <Loading lines={4} />;
  return <Empty title={title} action={action}>{text}</Empty>;
}

/** The values of a card on the axes. */
export function Places({ places }: { places: readonly (readonly [string, string])[] }) {
  return (
    <dl class="judge-places">
      {places.map(([name, value]) => (
        <div key={name}>
          <dt>
            <bdi>{name}</bdi>
          </dt>
          <dd title={value}>
            <bdi>{value}</bdi>
          </dd>
        </div>
      ))}
    </dl>
  );
}
