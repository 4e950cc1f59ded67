/** Shows the page of the present address, and loads its code when it is first opened. */
import { signal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { Button, LinkButton } from "../kit/button.tsx";
import { Page } from "../kit/page.tsx";
import { path } from "../kit/router.tsx";
import { Boundary, Empty, Loading, Notice } from "../kit/states.tsx";
import { common } from "../kit/texts.ts";
import { matchPath, type PageParams, type Route, routes } from "./routes.ts";

// deno-lint-ignore no-explicit-any -- see routes.ts
type Loaded = { Page: ComponentType<any> } | "failed";

/** Loaded pages by their path pattern. A page that could not be loaded is tried again. */
const loaded = signal<ReadonlyMap<string, Loaded>>(new Map());

async function load(route: Route): Promise<void> {
  const put = (state: Loaded) => (loaded.value = new Map(loaded.value).set(route.path, state));
  try {
    const [code] = await Promise.all([route.load(), ...route.texts.map((texts) => texts.load())]);
    put(code);
  } catch {
    put("failed");
  }
}

function NotFound() {
  const { errors } = common.value;
  return (
    <Page title={errors.notFoundTitle}>
      <Empty title={errors.notFoundTitle} action={<LinkButton to="/">{errors.toRuns}</LinkButton>}>
        {errors.notFound}
      </Empty>
    </Page>
  );
}

/** Returns the route of a path with its parameters. */
function findRoute(at: string): { route: Route; params: PageParams } | undefined {
  for (const route of routes) {
    const params = matchPath(route.path, at);
    if (params) return { route, params };
  }
}

function LoadedPage({ route, params }: { route: Route; params: PageParams }) {
  const state = loaded.value.get(route.path);
  useEffect(() => {
    if (state === undefined) void load(route);
  }, [route]);
  if (state === undefined) {
    return (
      <main class="page" id="content" tabIndex={-1}>
        <Loading />
      </main>
    );
  }
  if (state === "failed") {
    const { errors, retry } = common.value;
    return (
      <main class="page" id="content" tabIndex={-1}>
        <Notice kind="failed" action={<Button icon="retry" onClick={() => load(route)}>{retry}</Button>}>
          {errors.offline}
        </Notice>
      </main>
    );
  }
  // Another run is another page: nothing of the first remains.
  return <state.Page key={JSON.stringify(params)} {...params} />;
}

export function View() {
  const found = findRoute(path.value);
  if (!found) return <NotFound />;
  return (
    <Boundary key={path.value}>
      <LoadedPage key={found.route.path} {...found} />
    </Boundary>
  );
}
