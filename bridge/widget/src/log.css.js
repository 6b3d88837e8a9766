/**
 * How the list of events looks.
 *
 * @module
 */

export const CSS = `
.log-head { display: flex; align-items: center; gap: 0.5rem; padding: 0.375rem 0.5rem 0.375rem 1rem; border-block-end: 1px solid var(--_border); font-size: 0.8125rem; }
.log-title { font-weight: 600; }
.log-count { flex: 1; color: var(--_muted); font-variant-numeric: tabular-nums; }
.log-scroller { position: relative; flex: 1; min-block-size: 0; overflow: auto; scrollbar-width: thin; font-family: ui-monospace, monospace; font-size: 0.75rem; }
.log-scroller:focus-visible { outline-offset: -2px; border-radius: inherit; }
.log-lines { position: relative; margin: 0; padding: 0; list-style: none; }
.log-line {
  position: absolute;
  inset-inline: 0;
  inset-block-start: 0;
  box-sizing: border-box;
  display: grid;
  grid-template-columns: auto 7rem minmax(0, 1fr);
  gap: 0.75rem;
  align-items: center;
  block-size: 1.5rem;
  padding-inline: 1rem;
  white-space: nowrap;
  contain: strict;
}
.log-line time { color: var(--_muted); font-variant-numeric: tabular-nums; }
.log-line b { font-weight: 600; }
.log-line :is(b, span) { overflow: hidden; text-overflow: ellipsis; unicode-bidi: plaintext; }
.log-line[data-kind="error"] b { color: var(--_failure); }
.log-line[data-kind="warning"] b { color: var(--_retrying); }
.log-line:is([data-kind="debug"], [data-kind="gap"]) { color: var(--_muted); }
@container (inline-size < 26rem) {
  .log-line { grid-template-columns: auto 4.5rem minmax(0, 1fr); gap: 0.5rem; padding-inline: 0.75rem; }
}
.log-empty { position: absolute; inset: 0; display: grid; place-content: center; margin: 0; color: var(--_muted); font-family: var(--task-progress-font, system-ui, sans-serif); font-size: 0.8125rem; }
`;
