/** Makes a link with which others see the run without an account. */
import { useState } from "preact/hooks";
import { unwrap, v2 } from "../../api/client.ts";
import { type ApiError, asApiError } from "../../api/problem.ts";
import { Button } from "../../kit/button.tsx";
import { CopyButton } from "../../kit/copy.tsx";
import { Dialog } from "../../kit/dialog.tsx";
import { Checkbox, Segmented, Select, TextField } from "../../kit/field.tsx";
import { hrefOf } from "../../kit/router.tsx";
import { FailureBox } from "../../kit/states.tsx";
import { runTexts } from "./texts.ts";

const dayChoices = ["1", "7", "30", "90"] as const;

/** The token stands behind the #, which browsers do not send. */
const linkOf = (token: string): string => `${location.origin}${hrefOf("/shared")}#${token}`;

function Link({ link }: { link: string }) {
  const t = runTexts.value.share;
  return (
    <div class="stack">
      <TextField label={t.link} value={link} onInput={() => {}} readOnly hint={t.once} />
      <CopyButton text={link} />
    </div>
  );
}

export function ShareDialog({ id, onClose }: { id: string; onClose: () => void }) {
  const t = runTexts.value.share;
  const [label, setLabel] = useState("");
  const [mode, setMode] = useState<"read" | "rate">("read");
  const [blind, setBlind] = useState(false);
  const [days, setDays] = useState<(typeof dayChoices)[number]>("7");
  const [failure, setFailure] = useState<ApiError>();
  const [isBusy, setBusy] = useState(false);
  const [link, setLink] = useState<string>();
  const make = async () => {
    setBusy(true);
    setFailure(undefined);
    try {
      const body = { label: label.trim(), mode, blind, expires_in: Number(days) * 86_400 };
      const { token } = await unwrap(
        v2.POST("/api/v2/tasks/{id}/shares", { params: { path: { id } }, body }),
      );
      setLink(linkOf(token));
    } catch (error) {
      setFailure(asApiError(error));
    }
    setBusy(false);
  };
  const makeButton = <Button kind="primary" isBusy={isBusy} onClick={() => void make()}>{t.make}</Button>;
  return (
    <Dialog title={t.title} onClose={onClose} actions={link === undefined && makeButton}>
      {link !== undefined ? <Link link={link} /> : (
        <div class="stack">
          <TextField label={t.label} hint={t.labelHint} value={label} onInput={setLabel} maxLength={200} />
          <Segmented
            label={t.mode}
            value={mode}
            options={(["read", "rate"] as const).map((value) => ({ value, label: t.modes[value] }))}
            onChange={setMode}
          />
          {mode === "rate" && <Checkbox label={t.blind} checked={blind} onChange={setBlind} />}
          <Select
            label={t.days}
            value={days}
            options={dayChoices.map((value) => ({ value, label: t.dayCount(Number(value)) }))}
            onChange={setDays}
          />
          {failure && <FailureBox failure={failure} />}
        </div>
      )}
    </Dialog>
  );
}
