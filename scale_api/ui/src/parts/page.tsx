// What every page is made of: its head, its panels, and what stands there before, without and instead of data.
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import type { ApiError } from "../core/api";

interface PageProps {
  title: string;
  /** Beside the title: a status, a version. */
  aside?: ComponentChildren;
  /** Buttons at the right. */
  actions?: ComponentChildren;
  /** One sentence below the title. */
  lead?: ComponentChildren;
  /** Where this page hangs below: [words, address]. */
  up?: [string, string];
  children: ComponentChildren;
}

export function Page({ title, aside, actions, lead, up, children }: PageProps) {
  useEffect(() => {
    document.title = `${title} · Scale`;
  }, [title]);
  return (
    <>
      <header class="page-head">
        <div class="page-title">
          {up && (
            <a class="up" href={up[1]}>
              {up[0]}
            </a>
          )}
          <h1>{title}</h1>
          {aside}
        </div>
        {actions && <div class="actions">{actions}</div>}
        {lead && <p class="lead">{lead}</p>}
      </header>
      {children}
    </>
  );
}

interface PanelProps {
  title?: string;
  aside?: ComponentChildren;
  class?: string;
  children: ComponentChildren;
}

export function Panel({ title, aside, class: name = "", children }: PanelProps) {
  return (
    <section class={`panel ${name}`}>
      {(title || aside) && (
        <header class="panel-head">
          {title && <h2>{title}</h2>}
          {aside && <div class="panel-aside">{aside}</div>}
        </header>
      )}
      {children}
    </section>
  );
}

/** Nothing is there yet: `children` say what to do next. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <p>{children}</p>}
    </div>
  );
}

interface NoRowsProps {
  isFiltered: boolean;
  /** One of what is listed, as in "No job matches". */
  noun: string;
  /** The list without filters. */
  all: string;
  title: string;
  children: ComponentChildren;
}

/** Instead of rows: the way back from filters that nothing passes, or the next step while there is nothing at all. */
export function NoRows({ isFiltered, noun, all, title, children }: NoRowsProps) {
  if (!isFiltered) return <Empty title={title}>{children}</Empty>;
  return (
    <Empty title={`No ${noun} matches these filters.`}>
      <a href={all}>Show all {noun}s</a>
    </Empty>
  );
}

/** What the API refused, in its words. */
export function Refusal({ error }: { error: ApiError }) {
  return (
    <div class="refusal" role="alert">
      <strong>{error.status ? `Refused (${error.status})` : "No answer"}</strong>
      {error.problems.length ? (
        <ul>
          {error.problems.map((each) => (
            <li key={each.path + each.message}>
              {each.path && <code>{each.path}</code>} {each.message}
            </li>
          ))}
        </ul>
      ) : (
        <span>{error.message}</span>
      )}
    </div>
  );
}

/** There is nothing to show here; where there is little room, not even that is shown. */
export function None({ children = "–" }: { children?: ComponentChildren }) {
  return <span class="quiet none">{children}</span>;
}

/** Grey lines in the place of what is still on its way. */
export function Skeleton({ lines = 3 }: { lines?: number }) {
  return (
    <div class="skeleton-block" aria-hidden="true">
      {Array.from({ length: lines }, (_, line) => (
        <span key={line} class={`skeleton skeleton-${line % 3}`} />
      ))}
    </div>
  );
}

/** Names and values below each other. */
export function Facts({ children }: { children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>;
}

export function Fact({ name, children }: { name: string; children: ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}
