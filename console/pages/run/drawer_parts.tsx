/** Parts of a cell's details: request, attempts, versions, evaluations and tags. */
import { unwrap, v2 } from "../../api/client.ts";
import { useResource } from "../../api/use_resource.ts";
import { formatDuration, formatExactTime, formatTime } from "../../text/format.ts";
import { safeUrl } from "../../matrix/images.ts";
import { type CellDetail, describeRatings } from "./cell_detail.ts";
import { runTexts } from "./texts.ts";

/** Shows any JSON as text. */
function JsonText({ label, value }: { label: string; value: unknown }) {
  if (value === null || value === undefined) return null;
  return (
    <details class="drawer-json">
      <summary>{label}</summary>
      <pre tabIndex={0}>{JSON.stringify(value, null, 2)}</pre>
    </details>
  );
}

/** Returns the texts of prompts, whatever their form. */
function promptTexts(prompts: unknown): string[] {
  if (!Array.isArray(prompts)) return prompts === null ? [] : [JSON.stringify(prompts)];
  return prompts.map((prompt) => {
    if (typeof prompt === "string") return prompt;
    const { name, value } = (prompt ?? {}) as Record<string, unknown>;
    const text = [name, value].filter((part) => typeof part === "string" && part !== "").join(": ");
    return text || JSON.stringify(prompt);
  });
}

export function RequestParts({ detail: { request, result, seed, not_before } }: { detail: CellDetail }) {
  const t = runTexts.value.detail;
  const rows: [string, string | null][] = [
    [t.seed, seed ?? request.seed],
    [t.ratio, request.ratio],
    [t.queue, request.queue],
    [t.polish, request.use_polish ? t.yes : t.no],
  ];
  return (
    <section class="drawer-part">
      <h3>{t.request}</h3>
      <ul class="drawer-prompts" aria-label={t.prompts}>
        {promptTexts(request.prompts).map((text, i) => (
          <li key={i}>
            <bdi>{text}</bdi>
          </li>
        ))}
      </ul>
      <dl class="cell-values">
        {rows.map(([name, value]) =>
          value !== null && (
            <div key={name}>
              <dt>{name}</dt>
              <dd class="number">
                <bdi>{value}</bdi>
              </dd>
            </div>
          )
        )}
      </dl>
      {not_before && <p class="muted">{t.notBefore(formatTime(not_before))}</p>}
      <JsonText label={t.prompts} value={request.prompts} />
      <JsonText label={t.clientArgs} value={request.client_args} />
      <JsonText label={t.result} value={result} />
    </section>
  );
}

export function Attempts({ detail: { attempts } }: { detail: CellDetail }) {
  const t = runTexts.value.detail;
  return (
    <section class="drawer-part">
      <h3>{t.attempts}</h3>
      {attempts.length === 0
        ? <p class="muted">{t.noAttempts}</p>
        : (
          <div class="table-scroll" tabIndex={0} role="region" aria-label={t.attempts}>
            <table class="table">
              <thead>
                <tr>
                  <th>{t.attempt}</th>
                  <th>{t.outcome}</th>
                  <th>{t.started}</th>
                  <th>{t.took}</th>
                  <th>{t.job}</th>
                </tr>
              </thead>
              <tbody>
                {attempts.map(({ attempt, outcome, reason, started_at, seconds, remote_job }) => (
                  <tr key={attempt}>
                    <td class="number">{attempt}</td>
                    <td>
                      {t.outcomes[outcome]}
                      {reason && <bdi class="drawer-reason muted">{reason}</bdi>}
                    </td>
                    <td class="number">{started_at ? formatExactTime(started_at) : ""}</td>
                    <td class="number">{seconds === null ? "" : formatDuration(seconds)}</td>
                    <td class="mono small">{remote_job}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
    </section>
  );
}

/** All images of the cell side by side. */
export function Versions({ detail: { versions } }: { detail: CellDetail }) {
  const t = runTexts.value.detail;
  return (
    <section class="drawer-part">
      <h3>{t.versions}</h3>
      <ul class="drawer-versions">
        {versions.map(({ version, url, current, made_at, ratings }) => {
          const safe = safeUrl(url);
          return (
            <li key={version} class={current ? "current" : ""}>
              {safe && (
                <a href={safe} target="_blank" rel="noopener noreferrer">
                  <img src={safe} alt={t.version(version)} loading="lazy" referrerpolicy="no-referrer" />
                </a>
              )}
              <strong>{t.version(version)}</strong>
              {current && <span class="chip">{t.current}</span>}
              <span class="muted small">{describeRatings(ratings)}</span>
              {made_at && <span class="muted small number">{formatTime(made_at)}</span>}
            </li>
          );
        })}
      </ul>
    </section>
  );
}

/** What people wrote about the cell, and its tags. */
export function Comments({ id, cell }: { id: string; cell: number }) {
  const t = runTexts.value.detail;
  const path = { id, cell: String(cell) };
  const comments = useResource(
    (signal) => unwrap(v2.GET("/api/v2/tasks/{id}/cells/{cell}/evaluations", { params: { path }, signal })),
    [id, cell],
  );
  const tags = useResource(
    (signal) => unwrap(v2.GET("/api/v2/tasks/{id}/cells/{cell}/tags", { params: { path }, signal })),
    [id, cell],
  );
  return (
    <section class="drawer-part">
      {(tags.data?.items.length ?? 0) > 0 && (
        <>
          <h3>{t.tags}</h3>
          <p class="row">{tags.data!.items.map(({ tag }) => <bdi key={tag} class="chip">{tag}</bdi>)}</p>
        </>
      )}
      <h3>{t.comments}</h3>
      {comments.data?.items.length === 0 && <p class="muted">{t.noComments}</p>}
      <ul class="stack">
        {comments.data?.items.map(({ id, text, author, created_at }) => (
          <li key={id}>
            <bdi class="drawer-comment">{text}</bdi>
            <p class="muted small">{[author, formatTime(created_at)].filter(Boolean).join(" · ")}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}
