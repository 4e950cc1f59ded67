/** What is the same for every image: fixed tags and options. */
import { hasRole } from "../../api/session.ts";
import { Button, IconButton } from "../../kit/button.tsx";
import { Checkbox, Select, TextArea, TextField } from "../../kit/field.tsx";
import { parseSettings } from "./body.ts";
import {
  changeDraft,
  changeTag,
  createTag,
  draft,
  type DraftTag,
  fixedTypes,
  seedPolicies,
  type SeedPolicy,
} from "./draft.ts";
import { newRunTexts } from "./texts.ts";

const seedMax = 2_147_483_647;

/** Reports whether a text is a seed for the policy `pinned`. */
export const isSeed = (text: string): boolean => /^\d{1,10}$/.test(text.trim()) && Number(text) <= seedMax;

function FixedTag({ tag }: { tag: DraftTag }) {
  const t = newRunTexts.value;
  const name = t.types[tag.type] ?? tag.type;
  const remove = () => changeDraft({ fixed: draft.value.fixed.filter(({ id }) => id !== tag.id) });
  const types = (fixedTypes as readonly string[]).includes(tag.type) ? fixedTypes : [tag.type, ...fixedTypes];
  return (
    <li class="fixed">
      <Select
        label={t.axisType}
        isLabelHidden
        value={tag.type}
        options={types.map((value) => ({ value, label: t.types[value] ?? value }))}
        onChange={(type) => changeTag(tag.id, { type })}
      />
      {tag.extra.isVariable ? <p class="muted grow">{t.ofAxis(String(tag.extra.name ?? ""))}</p> : (
        <TextField
          label={t.fixedValue(name)}
          isLabelHidden
          placeholder={t.fixedValue(name)}
          value={tag.value}
          onInput={(value) => changeTag(tag.id, { value })}
        />
      )}
      <IconButton icon="close" label={t.removeFixed(name)} onClick={remove} />
    </li>
  );
}

export function FixedTags() {
  const t = newRunTexts.value;
  const { fixed } = draft.value;
  const add = () => {
    const type = fixed.some((tag) => tag.type === "prompt") ? "ratio" : "prompt";
    changeDraft({ fixed: [...fixed, createTag(draft.value, type)] });
  };
  return (
    <section class="stack" aria-labelledby="fixed-title">
      <div>
        <h2 id="fixed-title">{t.fixed}</h2>
        <p class="muted">{t.fixedHint}</p>
      </div>
      {fixed.length > 0 && <ul class="stack">{fixed.map((tag) => <FixedTag key={tag.id} tag={tag} />)}</ul>}
      <div>
        <Button icon="plus" onClick={add}>{t.addFixed}</Button>
      </div>
    </section>
  );
}

export function Options() {
  const t = newRunTexts.value;
  const { seedPolicy, seed, blind, priority, settings } = draft.value;
  const isFaulty = seed !== "" && !isSeed(seed);
  return (
    <section class="stack" aria-labelledby="options-title">
      <h2 id="options-title">{t.options}</h2>
      <div class="options">
        <Select
          label={t.seedPolicy}
          value={seedPolicy}
          options={seedPolicies.map((value) => ({ value, label: t.seedPolicies[value] }))}
          hint={t.seedPolicyHints[seedPolicy]}
          onChange={(next: SeedPolicy) => changeDraft({ seedPolicy: next })}
        />
        {seedPolicy === "pinned" && (
          <TextField
            label={t.seed}
            inputMode="numeric"
            value={seed}
            fault={isFaulty ? t.seedFault : undefined}
            onInput={(next) => changeDraft({ seed: next })}
          />
        )}
        {hasRole("admin", "manager") && (
          <Select
            label={t.priority}
            value={String(priority)}
            options={Array.from({ length: 10 }, (_, i) => ({ value: String(i + 1), label: String(i + 1) }))}
            hint={t.priorityHint}
            onChange={(next) => changeDraft({ priority: Number(next) })}
          />
        )}
      </div>
      <Checkbox label={t.blind} checked={blind} onChange={(next) => changeDraft({ blind: next })} />
      <details class="settings" open={settings !== ""}>
        <summary>{t.settings}</summary>
        <TextArea
          label={t.settings}
          isLabelHidden
          rows={4}
          spellcheck={false}
          value={settings}
          fault={parseSettings(settings) ? undefined : t.settingsFault}
          onInput={(next) => changeDraft({ settings: next })}
        />
      </details>
    </section>
  );
}
