/** The pages: their addresses, who sees them in the menu, and how their code and texts are loaded. */
import type { ComponentType } from "preact";
import type { IconName } from "../kit/icons.tsx";
import type { Texts } from "../text/texts.ts";
import { judgeTexts } from "../judge/texts.ts";
import { matrixTexts } from "../matrix/texts.ts";
import { runTexts } from "../pages/run/texts.ts";
import { resultsTexts } from "../pages/results/texts.ts";
import { newRunTexts } from "../pages/new_run/texts.ts";
import { runsTexts } from "../pages/runs/texts.ts";
import { operatorTexts } from "../operators/texts.ts";

/** Parameters of a page's path, such as `id`. */
export type PageParams = Record<string, string>;

// deno-lint-ignore no-explicit-any -- each page declares the parameters that its path has
type PageComponent = ComponentType<any>;

export interface Route {
  /** Path with parameters, such as `/runs/:id`. */
  path: string;
  /** Key of the menu's texts; absent for pages that the menu does not list. */
  nav?: { key: "runs" | "new_run" | "system" | "migration"; icon: IconName; roles?: readonly Role[] };
  /** Loads the page's code. */
  load: () => Promise<{ Page: PageComponent }>;
  /** Texts that the page shows, loaded with its code. */
  texts: readonly Texts<unknown>[];
}

type Role = "admin" | "manager" | "user" | "guest";

/** All pages, in the order of the menu. The first that matches is shown. */
export const routes: readonly Route[] = [
  {
    path: "/",
    nav: { key: "runs", icon: "runs" },
    load: async () => ({ Page: (await import("../pages/runs/page.tsx")).RunsPage }),
    texts: [runsTexts],
  },
  {
    path: "/new",
    nav: { key: "new_run", icon: "plus", roles: ["admin", "manager", "user"] },
    load: async () => ({ Page: (await import("../pages/new_run/page.tsx")).NewRunPage }),
    texts: [newRunTexts],
  },
  {
    path: "/runs/:id",
    load: async () => ({ Page: (await import("./run_pages.ts")).runPages.matrix }),
    texts: [runTexts, matrixTexts],
  },
  {
    path: "/runs/:id/results",
    load: async () => ({ Page: (await import("./run_pages.ts")).runPages.results }),
    texts: [runTexts, matrixTexts, resultsTexts],
  },
  {
    path: "/system",
    nav: { key: "system", icon: "system", roles: ["admin", "manager"] },
    load: async () => ({ Page: (await import("./staff_pages.ts")).staffPages.system }),
    texts: [operatorTexts],
  },
  {
    path: "/migration",
    nav: { key: "migration", icon: "migration", roles: ["admin", "manager"] },
    load: async () => ({ Page: (await import("./staff_pages.ts")).staffPages.migration }),
    texts: [operatorTexts],
  },
  {
    path: "/runs/:id/rate",
    load: async () => ({ Page: (await import("./run_pages.ts")).runPages.rate }),
    texts: [runTexts, matrixTexts, judgeTexts],
  },
  {
    path: "/runs/:id/pairs",
    load: async () => ({ Page: (await import("./run_pages.ts")).runPages.pairs }),
    texts: [runTexts, matrixTexts, judgeTexts],
  },
  {
    path: "/compare",
    load: async () => ({ Page: (await import("./run_pages.ts")).runPages.compare }),
    texts: [resultsTexts],
  },
];

/** Returns the parameters if a path matches a pattern. */
export function matchPath(pattern: string, path: string): PageParams | undefined {
  const [wanted, given] = [pattern.split("/"), path.split("/")];
  if (wanted.length !== given.length) return undefined;
  const params: PageParams = {};
  for (const [i, part] of wanted.entries()) {
    if (part.startsWith(":")) params[part.slice(1)] = decodeURIComponent(given[i]!);
    else if (part !== given[i]) return undefined;
  }
  return params;
}
