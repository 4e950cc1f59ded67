/** A menu that a button opens. The arrow keys move in it, and Escape closes it. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./icons.tsx";

export interface MenuItem {
  label: string;
  icon?: IconName;
  /** Marks what destroys. */
  isDanger?: boolean;
  disabled?: boolean;
  /** Shows that it is the present choice of several. */
  checked?: boolean;
  run: () => void;
}

interface MenuProps {
  /** Name of the button. */
  label: string;
  /** What the button shows; an icon with three dots if absent. */
  children?: ComponentChildren;
  /** Items; undefined draws a line between two groups. */
  items: readonly (MenuItem | undefined)[];
  class?: string;
}

function focusItem(list: HTMLElement, step: number): void {
  const items = [...list.querySelectorAll<HTMLButtonElement>("[role^=menuitem]:not(:disabled)")];
  const index = items.indexOf(document.activeElement as HTMLButtonElement);
  const next = index < 0 ? (step > 0 ? 0 : items.length - 1) : (index + step + items.length) % items.length;
  items[next]?.focus();
}

function MenuList({ items, close }: { items: MenuProps["items"]; close: () => void }) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => focusItem(list.current!, 1), []);
  const onKeyDown = (event: KeyboardEvent) => {
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    const step = steps[event.key];
    if (step !== undefined) focusItem(list.current!, step);
    else if (event.key === "Escape" || event.key === "Tab") close();
    else return;
    event.stopPropagation();
    if (event.key !== "Tab") event.preventDefault();
  };
  return (
    <div class="menu-list" role="menu" ref={list} onKeyDown={onKeyDown}>
      {items.map((item, i) =>
        item === undefined ? <hr key={i} class="menu-line" /> : (
          <button
            key={item.label}
            type="button"
            role={item.checked === undefined ? "menuitem" : "menuitemradio"}
            aria-checked={item.checked}
            class={`menu-item ${item.isDanger ? "danger" : ""}`}
            disabled={item.disabled}
            tabIndex={-1}
            onClick={() => {
              close();
              item.run();
            }}
          >
            {item.icon && <Icon name={item.icon} />}
            <span>{item.label}</span>
            {item.checked && <Icon name="check" class="icon menu-check" />}
          </button>
        )
      )}
    </div>
  );
}

export function Menu({ label, children, items, class: more }: MenuProps) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!isOpen) return;
    const closeOutside = (event: Event) => {
      if (!root.current?.contains(event.target as Node)) setOpen(false);
    };
    document.addEventListener("pointerdown", closeOutside);
    return () => document.removeEventListener("pointerdown", closeOutside);
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  return (
    <div class={`menu ${more ?? ""}`} ref={root}>
      <button
        type="button"
        ref={button}
        class={`button quiet ${children === undefined ? "icon-only" : ""}`}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        aria-label={label}
        title={label}
        onClick={() => setOpen(!isOpen)}
      >
        {children ?? <Icon name="more" />}
      </button>
      {isOpen && <MenuList items={items} close={close} />}
    </div>
  );
}
