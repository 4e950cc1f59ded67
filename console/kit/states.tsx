/** What a view shows when it has nothing to show: still loading, empty, failed, without connection. */
import { Component, type ComponentChildren } from "preact";
import { Button } from "./button.tsx";
import { Icon, type IconName } from "./icons.tsx";
import { common } from "./texts.ts";

/** A failed request: an ApiError, or anything of its shape. */
export interface Failure {
  code: string;
  /** The server's own words. */
  message: string;
  fields?: readonly { field: string; wanted: string }[];
  requestId?: string | undefined;
  retryAfterSeconds?: number | undefined;
}

/** Returns a failure in the person's language. */
export function describeFailure({ code, retryAfterSeconds }: Failure): string {
  const { errors } = common.value;
  if (code === "too_many_requests") return errors.too_many_requests(retryAfterSeconds ?? 1);
  const text = code in errors ? errors[code as keyof typeof errors] : undefined;
  return typeof text === "string" ? text : errors.other;
}

/** A frame of grey lines in the place of what is loading. It appears only after a moment. */
export function Loading({ lines = 3 }: { lines?: number }) {
  return (
    <div class="loading" role="status">
      <span class="sr-only">{common.value.loading}</span>
      {Array.from({ length: lines }, (_, i) => <div key={i} class="loading-line" aria-hidden="true" />)}
    </div>
  );
}

/** A view without content, and what to do about it. */
export function Empty(
  { icon = "image", title, children, action }: {
    icon?: IconName;
    title: string;
    children?: ComponentChildren;
    action?: ComponentChildren;
  },
) {
  return (
    <div class="empty">
      <Icon name={icon} class="icon empty-icon" />
      <h2>{title}</h2>
      {children !== undefined && <p>{children}</p>}
      {action}
    </div>
  );
}

/** A failed request, what the server says, and a way to try again. */
export function FailureBox({ failure, retry }: { failure: Failure; retry?: () => void }) {
  const { errors } = common.value;
  const details = failure.fields ?? [];
  const isKnown = failure.code === "offline";
  return (
    <div class="notice failed" role="alert">
      <Icon name="warning" />
      <div class="notice-text">
        <p>{describeFailure(failure)}</p>
        {!isKnown && <p class="muted" lang="en">{failure.message}</p>}
        {details.length > 0 && (
          <ul class="muted" lang="en">
            {details.map(({ field, wanted }) => (
              <li key={field}>
                <code>{field}</code>: {wanted}
              </li>
            ))}
          </ul>
        )}
        {failure.requestId && <p class="muted small">{errors.requestId(failure.requestId)}</p>}
      </div>
      {retry && <Button icon="retry" onClick={retry}>{common.value.retry}</Button>}
    </div>
  );
}

/** A notice in the flow of a page. */
export function Notice(
  { kind = "info", children, action }: {
    kind?: "info" | "warning" | "failed";
    children: ComponentChildren;
    action?: ComponentChildren;
  },
) {
  return (
    <div class={`notice ${kind}`}>
      <Icon name={kind === "info" ? "info" : "warning"} />
      <div class="notice-text">{children}</div>
      {action}
    </div>
  );
}

/** Keeps the frame of the page when a view throws while it is drawn. */
export class Boundary extends Component<{ children: ComponentChildren }, { error?: Error }> {
  override state: { error?: Error } = {};

  static override getDerivedStateFromError(error: Error) {
    return { error };
  }

  override render() {
    const { error } = this.state;
    if (!error) return this.props.children;
    const { errors } = common.value;
    return (
      <main class="page" id="content">
        <div class="notice failed" role="alert">
          <Icon name="warning" />
          <div class="notice-text">
            <p>{errors.page}</p>
            <p class="muted small" lang="en">{error.message}</p>
          </div>
          <Button onClick={() => location.reload()}>{errors.reload}</Button>
        </div>
      </main>
    );
  }
}
