/** Tabs of one view. Each is a link, so that the address names the open one. */
import { Link } from "./router.tsx";

export interface Tab {
  key: string;
  label: string;
  /** Path with query. */
  to: string;
  /** A number beside the name. */
  count?: string;
}

export function Tabs({ label, tabs, current }: { label: string; tabs: readonly Tab[]; current: string }) {
  return (
    <nav class="tabs" aria-label={label}>
      {tabs.map(({ key, label, to, count }) => (
        <Link key={key} to={to} class="tab" aria-current={key === current ? "page" : undefined}>
          {label}
          {count !== undefined && <span class="tab-count">{count}</span>}
        </Link>
      ))}
    </nav>
  );
}
