/** Fields of forms: a label, the control, a hint and a fault. */
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import { Icon } from "./icons.tsx";

/** What the control of a field needs to belong to its label, hint and fault. */
export interface ControlProps {
  id: string;
  "aria-describedby": string | undefined;
  "aria-invalid": true | undefined;
}

interface FieldProps {
  label: ComponentChildren;
  hint?: ComponentChildren;
  /** What is wrong with the value. */
  fault?: string | undefined;
  /** Keeps the label for screen readers only. */
  isLabelHidden?: boolean;
  class?: string;
  children: (control: ControlProps) => ComponentChildren;
}

export function Field({ label, hint, fault, isLabelHidden, class: more, children }: FieldProps) {
  const id = useId();
  const described = [hint !== undefined ? `${id}-hint` : "", fault ? `${id}-fault` : ""].filter(Boolean).join(
    " ",
  );
  const control: ControlProps = {
    id,
    "aria-describedby": described === "" ? undefined : described,
    "aria-invalid": fault ? true : undefined,
  };
  return (
    <div class={`field ${more ?? ""}`}>
      <label for={id} class={isLabelHidden ? "sr-only" : "field-label"}>{label}</label>
      {children(control)}
      {hint !== undefined && <p class="field-hint" id={`${id}-hint`}>{hint}</p>}
      {fault && (
        <p class="field-fault" id={`${id}-fault`}>
          <Icon name="warning" />
          <span>{fault}</span>
        </p>
      )}
    </div>
  );
}

/** What both kinds of text fields take. */
interface TextProps {
  label: ComponentChildren;
  value: string;
  onInput: (value: string) => void;
  hint?: ComponentChildren;
  fault?: string;
  isLabelHidden?: boolean;
  name?: string;
  placeholder?: string;
  maxLength?: number;
  readOnly?: boolean;
  disabled?: boolean;
  spellcheck?: boolean;
  /** Language of the value, such as `en`, where it is not that of the page. */
  lang?: string;
  onKeyDown?: (event: KeyboardEvent) => void;
  onBlur?: () => void;
}

type InputProps = TextProps & {
  type?: "text" | "search" | "email" | "password" | "url" | "number";
  autocomplete?: "username" | "current-password" | "new-password" | "off";
  inputMode?: "numeric" | "decimal" | "search";
};

/** A line of text. */
export function TextField(
  { label, value, onInput, hint, fault, isLabelHidden = false, type = "text", ...rest }: InputProps,
) {
  return (
    <Field label={label} hint={hint} fault={fault} isLabelHidden={isLabelHidden}>
      {(control) => (
        <input
          class="input"
          {...rest}
          // Each type has its own set of roles in Preact's types; none is given here.
          type={type as "text"}
          {...control}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

type AreaProps = TextProps & {
  rows?: number;
  onPaste?: (event: ClipboardEvent) => void;
};

/** Several lines of text. */
export function TextArea({ label, value, onInput, hint, fault, isLabelHidden = false, ...rest }: AreaProps) {
  return (
    <Field label={label} hint={hint} fault={fault} isLabelHidden={isLabelHidden}>
      {(control) => (
        <textarea
          class="input"
          {...rest}
          {...control}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** A value to choose, and its name. */
export interface Option<T extends string> {
  value: T;
  label: string;
}

interface ChoiceProps<T extends string> {
  label: ComponentChildren;
  value: T;
  options: readonly Option<T>[];
  onChange: (value: T) => void;
  hint?: ComponentChildren;
  isLabelHidden?: boolean;
  disabled?: boolean;
}

/** One of many values. */
export function Select<T extends string>(
  { label, value, options, onChange, hint, isLabelHidden = false, disabled = false }: ChoiceProps<T>,
) {
  return (
    <Field label={label} hint={hint} isLabelHidden={isLabelHidden}>
      {(control) => (
        <select
          class="input select"
          {...control}
          value={value}
          disabled={disabled}
          onChange={(event) => onChange(event.currentTarget.value as T)}
        >
          {options.map((option) => <option key={option.value} value={option.value}>{option.label}</option>)}
        </select>
      )}
    </Field>
  );
}

/** One of a few values, all visible. The arrow keys move between them. */
export function Segmented<T extends string>(
  { label, value, options, onChange, isLabelHidden = false, disabled = false }: ChoiceProps<T>,
) {
  const id = useId();
  return (
    <fieldset class="field segmented-field" disabled={disabled}>
      <legend class={isLabelHidden ? "sr-only" : "field-label"}>{label}</legend>
      <div class="segmented">
        {options.map((option) => (
          <label key={option.value} class="segment">
            <input
              type="radio"
              class="sr-only"
              name={id}
              checked={option.value === value}
              onChange={() => onChange(option.value)}
            />
            <span>{option.label}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

/** A switch for one property. */
export function Checkbox(
  { label, checked, onChange, disabled = false }: {
    label: ComponentChildren;
    checked: boolean;
    onChange: (checked: boolean) => void;
    disabled?: boolean;
  },
) {
  return (
    <label class="checkbox">
      <input
        type="checkbox"
        checked={checked}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>{label}</span>
    </label>
  );
}
