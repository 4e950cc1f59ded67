/** Page New run: axes, what is the same for all images, and the plan beside it. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { type ApiError, asApiError } from "../../api/problem.ts";
import { session } from "../../api/session.ts";
import { Button } from "../../kit/button.tsx";
import { TextField } from "../../kit/field.tsx";
import { announce } from "../../kit/live.tsx";
import { Page } from "../../kit/page.tsx";
import { navigate, query } from "../../kit/router.tsx";
import { useShortcuts } from "../../kit/shortcuts.ts";
import { FailureBox, Notice } from "../../kit/states.tsx";
import { showToast } from "../../kit/toast.tsx";
import { Axes } from "./axes.tsx";
import { type RunInput, toBody, toDraft } from "./body.ts";
import { changeDraft, clearDraft, draft, isUnsaved, openDraft } from "./draft.ts";
import { FixedTags, Options } from "./fixed.tsx";
import { readConfiguration } from "./import_file.ts";
import { PlanPanel } from "./plan.tsx";
import { newRunTexts } from "./texts.ts";
import { axisFaults, isPlannable, usePlan } from "./use_plan.ts";

/** Opens the draft of the user, or fills it from the run that the address names. */
async function start(setFailure: (failure: ApiError) => void): Promise<void> {
  const { value } = session;
  const wasThere = openDraft(value.state === "signed_in" ? value.user.id : "");
  const t = newRunTexts.value;
  const from = query.value.get("from");
  if (from === null) {
    if (wasThere) announce(t.draftRestored);
    return;
  }
  try {
    const input = await unwrap(v2.GET("/api/v2/tasks/{id}/order", { params: { path: { id: from } } }));
    changeDraft({ ...toDraft(input as RunInput), name: t.copyOf(input.name) });
    showToast({ text: t.copied(input.name) });
    // A reload keeps the changes that follow.
    navigate("/new", true);
  } catch (error) {
    setFailure(asApiError(error));
  }
}

function ImportButton() {
  const t = newRunTexts.value;
  const input = useRef<HTMLInputElement>(null);
  const take = async () => {
    const file = input.current!.files?.[0];
    input.current!.value = "";
    if (!file) return;
    const read = await readConfiguration(file);
    if (typeof read === "string") return showToast({ text: t.importFault[read], kind: "failed" });
    const before = draft.value;
    changeDraft({ ...toDraft(read), name: read.name || file.name.replace(/\.json$/i, "") });
    const { axes, fixed } = draft.value;
    showToast({ text: t.imported(axes.length, fixed.length), seconds: 8, undo: () => changeDraft(before) });
  };
  return (
    <>
      <input
        ref={input}
        type="file"
        class="sr-only"
        accept=".json,application/json"
        aria-label={t.importFile}
        tabIndex={-1}
        onChange={() => void take()}
      />
      <Button icon="upload" title={t.importHint} onClick={() => input.current!.click()}>
        {t.importFile}
      </Button>
    </>
  );
}

function StartOver() {
  const t = newRunTexts.value;
  const clear = () => {
    const before = draft.value;
    clearDraft();
    showToast({ text: t.startedOver, seconds: 8, undo: () => changeDraft(before) });
  };
  return <Button kind="quiet" onClick={clear}>{t.startOver}</Button>;
}

interface Creation {
  isBusy: boolean;
  failure: ApiError | undefined;
  nameFault: string | undefined;
  create: () => Promise<void>;
}

/** Creates the run of the draft. A repeated request creates it once, by its key. */
function useCreation(): Creation {
  const t = newRunTexts.value;
  const [state, setState] = useState<Omit<Creation, "create">>({
    isBusy: false,
    failure: undefined,
    nameFault: undefined,
  });
  const create = async () => {
    if (state.isBusy) return;
    const nameFault = draft.value.name.trim() === "" ? t.needName : undefined;
    setState({ isBusy: nameFault === undefined, failure: undefined, nameFault });
    if (nameFault !== undefined) return document.querySelector<HTMLInputElement>("[name=run-name]")?.focus();
    const params = { header: { "Idempotency-Key": draft.value.key } };
    try {
      const run: Schemas["Task"] = await unwrap(
        v2.POST("/api/v2/tasks", { params, body: toBody(draft.value) }),
      );
      clearDraft();
      showToast({ text: t.created(run.name) });
      navigate(`/runs/${run.id}`);
    } catch (error) {
      setState({ isBusy: false, failure: asApiError(error), nameFault: undefined });
    }
  };
  return { ...state, create };
}

export function NewRunPage() {
  const t = newRunTexts.value;
  const [failure, setFailure] = useState<ApiError>();
  useEffect(() => void start(setFailure), []);
  const plan = usePlan(draft.value);
  const creation = useCreation();
  useShortcuts(t.title, [
    { keys: ["Enter"], withControl: true, label: t.create, run: () => void creation.create() },
  ]);
  const cells = plan.plan?.cells ?? 0;
  return (
    <Page
      title={t.title}
      actions={
        <>
          <StartOver />
          <ImportButton />
        </>
      }
      class="new-run"
    >
      {failure && <FailureBox failure={failure} />}
      {isUnsaved.value && <Notice kind="warning">{t.draftUnsaved}</Notice>}
      <div class="new-run-columns">
        <div class="stack new-run-form">
          <TextField
            label={t.name}
            name="run-name"
            placeholder={t.namePlaceholder}
            maxLength={500}
            value={draft.value.name}
            fault={creation.nameFault}
            onInput={(name) => changeDraft({ name })}
          />
          <Axes faults={axisFaults(draft.value, plan.error)} />
          <FixedTags />
          <Options />
        </div>
        <div class="new-run-side stack">
          <PlanPanel state={plan} />
          {creation.failure && <FailureBox failure={creation.failure} />}
          <Button
            kind="primary"
            isBusy={creation.isBusy}
            disabled={!isPlannable(draft.value)}
            onClick={() => void creation.create()}
          >
            {cells > 0 ? t.createCount(cells) : t.create}
          </Button>
        </div>
      </div>
    </Page>
  );
}
