/** Dialogs on top of the page. The browser keeps the focus inside and gives it back. */
import type { ComponentChildren } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { IconButton } from "./button.tsx";
import { common } from "./texts.ts";

interface DialogProps {
  title: ComponentChildren;
  /** Called when the person closes it: by Escape, the cross or a click beside it. Absent: it stays until answered. */
  onClose?: () => void;
  /** Buttons at the end. */
  actions?: ComponentChildren;
  /** `side`: a drawer at the side, for details beside the page. */
  kind?: "middle" | "side";
  class?: string;
  children: ComponentChildren;
}

/** A dialog that is open as long as it is rendered. */
export function Dialog({ title, onClose, actions, kind = "middle", class: more, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // At once: a key that follows quickly is for the dialog, not for the page.
  useLayoutEffect(() => {
    const element = dialog.current!;
    element.showModal();
    return () => element.close();
  }, []);
  const close = (event: Event) => {
    event.preventDefault();
    onClose?.();
  };
  return (
    <dialog
      ref={dialog}
      class={`dialog ${kind} ${more ?? ""}`}
      aria-labelledby={id}
      onCancel={close}
      onMouseDown={(event) => event.target === dialog.current && onClose?.()}
    >
      <div class="dialog-body">
        <header class="dialog-head">
          <h2 id={id}>{title}</h2>
          {onClose && <IconButton icon="close" label={common.value.close} onClick={onClose} />}
        </header>
        <div class="dialog-content">{children}</div>
        {actions && <footer class="dialog-actions">{actions}</footer>}
      </div>
    </dialog>
  );
}
