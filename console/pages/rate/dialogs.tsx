/** Dialogs of the page Rate: why an image is skipped, a text about it, and its tags. */
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { unwrap, v2 } from "../../api/client.ts";
import { useResource } from "../../api/use_resource.ts";
import { Button } from "../../kit/button.tsx";
import { Dialog } from "../../kit/dialog.tsx";
import { TextArea, TextField } from "../../kit/field.tsx";
import { isTyping } from "../../kit/shortcuts.ts";
import { common } from "../../kit/texts.ts";
import { judgeTexts } from "../../judge/texts.ts";
import type { ImageCard, Rating } from "./rating.ts";

interface DialogProps {
  rating: Rating;
  card: ImageCard;
  onClose: () => void;
}

/** Focuses the first field or button of a dialog's content once it is open. */
function useFirstFocus() {
  const form = useRef<HTMLFormElement>(null);
  useEffect(
    () => queueMicrotask(() => form.current?.querySelector<HTMLElement>("textarea, input, button")?.focus()),
    [],
  );
  return form;
}

export function SkipDialog({ rating, card, onClose }: DialogProps) {
  const t = judgeTexts.value;
  const [text, setText] = useState("");
  const form = useFirstFocus();
  const skip = (skipped: string) => {
    onClose();
    if (skipped.trim() !== "") rating.mark(card, { skipped: skipped.trim() });
  };
  useLayoutEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const reason = t.skipReasons[Number(event.key) - 1];
      if (!reason || isTyping(event.target)) return;
      event.preventDefault();
      skip(reason);
    };
    addEventListener("keydown", onKeyDown);
    return () => removeEventListener("keydown", onKeyDown);
  }, []);
  const submit = (event: Event) => {
    event.preventDefault();
    skip(text);
  };
  return (
    <Dialog title={t.skipTitle} onClose={onClose}>
      <form class="stack" ref={form} onSubmit={submit}>
        {t.skipReasons.map((reason, i) => (
          <Button
            key={reason}
            class="rate-reason"
            onClick={() => skip(reason)}
          >
            <kbd>{i + 1}</kbd> {reason}
          </Button>
        ))}
        <TextField label={t.skipOther} value={text} onInput={setText} maxLength={500} />
        <Button type="submit" kind="primary" disabled={text.trim() === ""}>{t.actions.skip}</Button>
      </form>
    </Dialog>
  );
}

export function TextDialog({ rating, card, onClose }: DialogProps) {
  const t = judgeTexts.value;
  const [text, setText] = useState("");
  const form = useFirstFocus();
  const save = (event: Event) => {
    event.preventDefault();
    if (text.trim() !== "") rating.evaluate(card, text);
    onClose();
  };
  return (
    <Dialog title={t.textTitle} onClose={onClose}>
      <form class="stack" ref={form} onSubmit={save}>
        <TextArea
          label={t.textLabel}
          hint={t.textHint}
          rows={5}
          maxLength={4000}
          value={text}
          onInput={setText}
          onKeyDown={(event) => {
            if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) save(event);
          }}
        />
        <Button type="submit" kind="primary">{common.value.save}</Button>
      </form>
    </Dialog>
  );
}

/** Removes what a tag may not contain. */
const cleanTag = (text: string): string => text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ").trim();

export function TagDialog({ rating, card, onClose }: DialogProps) {
  const t = judgeTexts.value;
  const [text, setText] = useState("");
  const [own, setOwn] = useState<ReadonlyMap<string, boolean>>(new Map());
  const form = useFirstFocus();
  const path = { id: rating.id, cell: String(card.cell) };
  const ofCell = useResource(
    (signal) => unwrap(v2.GET("/api/v2/tasks/{id}/cells/{cell}/tags", { params: { path }, signal })),
    [card.cell],
  );
  const ofRun = useResource(
    (signal) => unwrap(v2.GET("/api/v2/tasks/{id}/tags", { params: { path, query: { limit: 30 } }, signal })),
    [rating.id],
  );
  const states = new Map([
    ...(ofRun.data?.items ?? []).map(({ tag }) => [tag, false] as const),
    ...(ofCell.data?.items ?? []).map(({ tag }) => [tag, true] as const),
    ...own,
  ]);
  const set = (tag: string, isOn: boolean) => {
    setOwn(new Map(own).set(tag, isOn));
    rating.tag(card, tag, isOn);
  };
  const add = (event: Event) => {
    event.preventDefault();
    const tag = cleanTag(text);
    if (tag === "") return onClose();
    set(tag, true);
    setText("");
  };
  return (
    <Dialog title={t.tagTitle} onClose={onClose}>
      <form class="stack" ref={form} onSubmit={add}>
        <TextField label={t.tagLabel} hint={t.tagHint} maxLength={100} value={text} onInput={setText} />
        <div class="row">
          {[...states].map(([tag, isOn]) => (
            <Button
              key={tag}
              aria-pressed={isOn}
              icon={isOn ? "check" : "plus"}
              onClick={() => set(tag, !isOn)}
            >
              <bdi>{tag}</bdi>
            </Button>
          ))}
        </div>
      </form>
    </Dialog>
  );
}
