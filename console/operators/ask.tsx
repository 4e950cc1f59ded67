/** A dialog before an action: explains it, collects values, performs it, and shows the reason if it fails. */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { Button } from "../kit/button.tsx";
import { Dialog } from "../kit/dialog.tsx";
import { Checkbox, Select, TextField } from "../kit/field.tsx";
import { type Failure, FailureBox } from "../kit/states.tsx";
import { common } from "../kit/texts.ts";
import { showToast } from "../kit/toast.tsx";
import { operatorTexts } from "./texts.ts";

type Values = Record<string, string>;

/** A value to ask for: a text, a switch with `"1"` or `""`, or one of several. */
interface Field {
  name: string;
  label: string;
  value: string;
  kind?: "number" | "switch";
  options?: readonly { value: string; label: string }[];
}

/** An action to confirm. */
export interface Action {
  title: string;
  text?: ComponentChildren;
  fields?: readonly Field[];
  isDanger?: boolean;
  /** Does it. @throws Failure */
  run: (values: Values) => Promise<unknown>;
  /** Called when it is done. */
  then?: () => void;
}

const asked = signal<Action | undefined>(undefined);

/** Opens the dialog of an action. */
export const ask = (action: Action): void => void (asked.value = action);

function Control({ field: { name, label, kind, options }, value, set }: {
  field: Field;
  value: string;
  set: (value: string) => void;
}) {
  if (options) return <Select label={label} value={value} options={options} onChange={set} />;
  if (kind === "switch") {
    return (
      <Checkbox
        label={label}
        checked={value !== ""}
        onChange={(on) => set(on ? "1" : "")}
      />
    );
  }
  return <TextField label={label} name={name} value={value} onInput={set} maxLength={kind ? 5 : 200} />;
}

function AskDialog({ action: { title, text, fields = [], isDanger, run, then } }: { action: Action }) {
  const [values, setValues] = useState<Values>(
    Object.fromEntries(fields.map(({ name, value }) => [name, value])),
  );
  const [isBusy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure>();
  const close = () => void (asked.value = undefined);
  const isWrong = fields.some(({ name, kind }) =>
    kind !== "switch" && !(kind ? /^\d+$/ : /\S/).test(values[name]!)
  );
  const act = async () => {
    setBusy(true);
    try {
      await run(values);
      showToast({ text: operatorTexts.value.done(title) });
      close();
      then?.();
    } catch (error) {
      setFailure(error as Failure);
      setBusy(false);
    }
  };
  const actions = (
    <>
      <Button onClick={close}>{common.value.cancel}</Button>
      <Button
        kind={isDanger ? "danger" : "primary"}
        isBusy={isBusy}
        disabled={isWrong}
        onClick={() => void act()}
      >
        {operatorTexts.value.confirm}
      </Button>
    </>
  );
  return (
    <Dialog title={title} onClose={close} actions={actions}>
      {text && <div>{text}</div>}
      {fields.map((field) => (
        <Control
          key={field.name}
          field={field}
          value={values[field.name]!}
          set={(value) => setValues({ ...values, [field.name]: value })}
        />
      ))}
      {failure && <FailureBox failure={failure} />}
    </Dialog>
  );
}

/** The dialog of the present action. A page contains it once. */
export const Asked = () => asked.value ? <AskDialog action={asked.value} /> : null;
