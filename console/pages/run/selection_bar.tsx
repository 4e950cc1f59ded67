/** What can be done to the selected cells. */
import { useState } from "preact/hooks";
import { Button } from "../../kit/button.tsx";
import { Dialog } from "../../kit/dialog.tsx";
import { TextField } from "../../kit/field.tsx";
import { common } from "../../kit/texts.ts";
import { runUndoably } from "../../kit/toast.tsx";
import type { Cells } from "../../matrix/cells.ts";
import type { Selection } from "../../matrix/selection.ts";
import { isMember, mayChange, retryCells } from "./actions.ts";
import { addFavourite, addTag, rerunCell, workOnCells } from "./bulk.ts";
import type { Run } from "./run_state.ts";
import { runTexts } from "./texts.ts";

interface SelectionBarProps {
  run: Run;
  cells: Cells;
  selection: Selection;
  onOpen: (cell: number) => void;
}

/** Asks for a tag. */
function TagDialog(
  { count, onClose, onTag }: { count: number; onClose: () => void; onTag: (tag: string) => void },
) {
  const t = runTexts.value.bulk;
  const [tag, setTag] = useState("");
  const [fault, setFault] = useState<string>();
  const submit = (event?: Event) => {
    event?.preventDefault();
    if (tag.trim() === "") setFault(t.tagNeeded);
    else onTag(tag.trim());
  };
  return (
    <Dialog
      title={t.tagTitle(count)}
      onClose={onClose}
      actions={<Button kind="primary" onClick={() => submit()}>{common.value.save}</Button>}
    >
      <form onSubmit={submit}>
        <TextField
          label={t.tagLabel}
          hint={t.tagHint}
          value={tag}
          onInput={setTag}
          maxLength={100}
          fault={fault}
        />
      </form>
    </Dialog>
  );
}

/** Runs work on cells and tells how far it is. */
function useWork(id: string) {
  const [progress, setProgress] = useState<{ done: number; total: number }>();
  const start = async (
    work: Parameters<typeof workOnCells>[0]["work"],
    cells: number[],
    done: (n: number) => string,
  ) => {
    setProgress({ done: 0, total: cells.length });
    const onProgress = (count: number) => setProgress({ done: count, total: cells.length });
    await workOnCells({ id, cells, work, done, onProgress });
    setProgress(undefined);
  };
  return { progress, start };
}

export function SelectionBar({ run, cells, selection, onOpen }: SelectionBarProps) {
  const t = runTexts.value;
  const [isTagging, setTagging] = useState(false);
  const { progress, start } = useWork(run.id);
  const chosen = [...selection.cells.value];
  if (chosen.length === 0 && !progress) return null;
  const failed = chosen.filter((cell) => cells.stateOf(cell) === "failed");
  const ended = chosen.filter((cell) => ["completed", "failed"].includes(cells.stateOf(cell) ?? ""));
  const rerun = () =>
    runUndoably(t.bulk.rerunQuestion(ended.length), () => void start(rerunCell, ended, t.bulk.done.rerun));
  const isOwn = mayChange(run);
  return (
    <div class="run-selection" role="toolbar" aria-label={t.selected(chosen.length)}>
      <strong class="number">{t.selected(chosen.length)}</strong>
      {chosen.length === 1 && <Button onClick={() => onOpen(chosen[0]!)}>{t.bulk.open}</Button>}
      {isOwn && failed.length > 0 && (
        <Button
          icon="retry"
          onClick={() => void retryCells(run.id, { cells: failed })}
        >
          {t.bulk.retry(failed.length)}
        </Button>
      )}
      {isOwn && ended.length > 0 && <Button icon="retry" onClick={rerun}>{t.bulk.rerun(ended.length)}
      </Button>}
      {isMember() && (
        <Button
          icon="star"
          onClick={() => void start(addFavourite, chosen, t.bulk.done.favourite)}
        >
          {t.bulk.favourite}
        </Button>
      )}
      <Button icon="edit" onClick={() => setTagging(true)}>{t.bulk.tag}</Button>
      <Button kind="quiet" icon="close" onClick={() => selection.clear()}>{t.bulk.clear}</Button>
      {progress && (
        <span class="muted number" role="status">{t.bulk.busy(progress.done, progress.total)}</span>
      )}
      {isTagging && (
        <TagDialog
          count={chosen.length}
          onClose={() => setTagging(false)}
          onTag={(tag) => {
            setTagging(false);
            void start(addTag(tag), chosen, t.bulk.done.tag);
          }}
        />
      )}
    </div>
  );
}
