/** A button that copies a text. Browsers have a clipboard on https and localhost only; elsewhere there is no button. */
import { Button, type ButtonKind } from "./button.tsx";
import { common } from "./texts.ts";
import { showToast } from "./toast.tsx";

export function CopyButton({ text, kind }: { text: string; kind?: ButtonKind }) {
  if (!navigator.clipboard) return null;
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    showToast({ text: common.value.copied });
  };
  return <Button kind={kind} icon="copy" onClick={() => void copy()}>{common.value.copy}</Button>;
}
