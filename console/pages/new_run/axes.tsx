/** The axes of the draft, as columns of values. */
import { Button, IconButton } from "../../kit/button.tsx";
import { Select, TextArea, TextField } from "../../kit/field.tsx";
import {
  axesMax,
  type AxisType,
  axisTypes,
  changeAxis,
  changeDraft,
  createAxis,
  draft,
  type DraftAxis,
  linesOf,
  type Role,
  roles,
  usualRole,
} from "./draft.ts";
import { newRunTexts } from "./texts.ts";

/** Returns the hint about the form of the values of a type. */
function hintOf({ type, text }: DraftAxis): string | undefined {
  const { valuesHint } = newRunTexts.value;
  if (type === "character" || type === "element") return valuesHint.reference;
  if (text.includes("↵")) return valuesHint.breaks;
  return type === "ratio" || type === "seed" || type === "polish" ? valuesHint[type] : undefined;
}

function changeType(axis: DraftAxis, type: AxisType): void {
  // A name that the person chose stays.
  const isOwnName = axis.name.replace(/ \d+$/, "") !== axis.type;
  const name = isOwnName ? axis.name : createAxis(draft.value, type).name;
  changeAxis(axis.id, { type, name, role: usualRole(type) });
}

/** Moves an axis by one place among the axes. */
function move(index: number, step: number): void {
  const axes = [...draft.value.axes];
  const [axis] = axes.splice(index, 1);
  axes.splice(index + step, 0, axis!);
  changeDraft({ axes });
}

function AxisHead({ axis, index, count }: { axis: DraftAxis; index: number; count: number }) {
  const t = newRunTexts.value;
  const remove = () => changeDraft({ axes: draft.value.axes.filter(({ id }) => id !== axis.id) });
  return (
    <div class="axis-head">
      <span class="axis-number mono">{index + 1}</span>
      <span class="grow muted small number">{t.valueCount(linesOf(axis).length)}</span>
      {index > 0 && <IconButton icon="left" label={t.moveLeft(axis.name)} onClick={() => move(index, -1)} />}
      {index < count - 1 && (
        <IconButton
          icon="right"
          label={t.moveRight(axis.name)}
          onClick={() => move(index, 1)}
        />
      )}
      <IconButton icon="close" label={t.removeAxis(axis.name)} onClick={remove} />
    </div>
  );
}

interface ColumnProps {
  axis: DraftAxis;
  index: number;
  count: number;
  /** What v2 says about the axis. */
  fault?: string;
}

function AxisColumn({ axis, index, count, fault }: ColumnProps) {
  const t = newRunTexts.value;
  const options = (values: readonly string[], names: Record<string, string>) =>
    values.map((value) => ({ value, label: names[value] ?? value }));
  return (
    <li class="axis" data-axis={axis.id}>
      <AxisHead axis={axis} index={index} count={count} />
      <div class="axis-pair">
        <Select
          label={t.axisType}
          value={axis.type}
          options={options(axisTypes, t.types)}
          onChange={(type) => changeType(axis, type as AxisType)}
        />
        <Select
          label={t.role}
          value={axis.role === "" ? "treatment" : axis.role}
          options={options(roles, t.roles)}
          onChange={(role) => changeAxis(axis.id, { role: role as Role })}
        />
      </div>
      <TextField
        label={t.axisName}
        value={axis.name}
        maxLength={200}
        onInput={(name) => changeAxis(axis.id, { name })}
      />
      <TextArea
        label={t.values(axis.name)}
        isLabelHidden
        value={axis.text}
        rows={10}
        spellcheck={false}
        hint={hintOf(axis)}
        fault={fault}
        onInput={(text) => changeAxis(axis.id, { text })}
      />
    </li>
  );
}

/** @param faults what v2 says about axes, by their ids */
export function Axes({ faults }: { faults: ReadonlyMap<string, string> }) {
  const t = newRunTexts.value;
  const { axes } = draft.value;
  const add = () => {
    const used = new Set(axes.map(({ type }) => type));
    const type = axisTypes.find((one) => !used.has(one)) ?? "prompt";
    changeDraft({ axes: [...axes, createAxis(draft.value, type)] });
  };
  return (
    <section class="stack" aria-labelledby="axes-title">
      <div>
        <h2 id="axes-title">{t.axes}</h2>
        <p class="muted">{t.axesHint} {t.roleHint}</p>
      </div>
      <ul class="axes">
        {axes.map((axis, index) => (
          <AxisColumn
            key={axis.id}
            axis={axis}
            index={index}
            count={axes.length}
            fault={faults.get(axis.id)}
          />
        ))}
        <li class="axis-add">
          {axes.length < axesMax
            ? <Button icon="plus" onClick={add}>{t.addAxis}</Button>
            : <p class="muted">{t.axisLimit}</p>}
        </li>
      </ul>
    </section>
  );
}
