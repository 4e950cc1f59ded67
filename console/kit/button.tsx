/** Buttons. */
import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "./icons.tsx";
import { Link } from "./router.tsx";

/** `primary`: the one main action of a view; `plain`: others; `quiet`: without a frame; `danger`: destroys. */
export type ButtonKind = "primary" | "plain" | "quiet" | "danger";

type ButtonProps = Omit<JSX.IntrinsicElements["button"], "icon"> & {
  kind?: ButtonKind;
  icon?: IconName;
  /** Shows that the action runs, and takes no further click. */
  isBusy?: boolean;
  children?: ComponentChildren;
};

export function Button(
  { kind = "plain", icon, isBusy = false, children, class: more, ...rest }: ButtonProps,
) {
  const ignoreWhileBusy = (event: MouseEvent) => {
    if (!isBusy) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  return (
    <button
      type="button"
      {...rest}
      class={`button ${kind} ${more ?? ""}`}
      aria-busy={isBusy || undefined}
      aria-disabled={isBusy || undefined}
      onClickCapture={ignoreWhileBusy}
    >
      {icon && <Icon name={icon} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  );
}

type IconButtonProps = Omit<ButtonProps, "children" | "aria-label"> & { icon: IconName; label: string };

/** A button with only an icon. Its label is its name and its tooltip. */
export function IconButton({ label, kind = "quiet", class: more, ...rest }: IconButtonProps) {
  return <Button {...rest} kind={kind} class={`icon-only ${more ?? ""}`} aria-label={label} title={label} />;
}

/** A link that looks like a button. */
export function LinkButton(
  { to, kind = "plain", icon, children }: {
    to: string;
    kind?: ButtonKind;
    icon?: IconName;
    children: ComponentChildren;
  },
) {
  return (
    <Link to={to} class={`button ${kind}`}>
      {icon && <Icon name={icon} />}
      <span>{children}</span>
    </Link>
  );
}
