/**
 * How `<task-list>` looks.
 *
 * @module
 */

export const CSS = `
:host { display: block; container-type: inline-size; contain: layout style; max-block-size: 32rem; }
.list {
  box-sizing: border-box;
  display: flex;
  flex-direction: column;
  block-size: 100%;
  max-block-size: inherit;
  overflow: hidden;
  background: var(--_background);
  border: 1px solid var(--_border);
  border-radius: var(--task-progress-radius, 0.625rem);
}
.list.offline { border-style: dashed; }
header { flex: none; padding: 0.75rem 1rem; border-block-end: 1px solid var(--_border); }
.title { display: flex; align-items: baseline; gap: 0.75rem; margin-block-end: 0.5rem; }
.heading { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.summary { flex: 1; min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-size: 0.8125rem; color: var(--_muted); font-variant-numeric: tabular-nums; }
.figure { min-inline-size: 3rem; font-weight: 600; font-variant-numeric: tabular-nums; text-align: end; white-space: nowrap; }
.controls { display: flex; gap: 0.5rem; align-items: center; margin-block-start: 0.75rem; }
.find {
  flex: 0 1 13rem;
  box-sizing: border-box;
  min-inline-size: 7rem;
  min-block-size: 1.875rem;
  padding: 0 0.625rem;
  font: inherit;
  font-size: 0.8125rem;
  color: var(--_text);
  background: transparent;
  border: 1px solid var(--_border);
  border-radius: 0.4375rem;
}
.find::placeholder { color: var(--_muted); opacity: 1; }
/* One line, whatever its width; the padding is for the outline of what has the focus. */
.chips { display: flex; flex: 1 1 0; gap: 0.375rem; min-inline-size: 0; margin: -0.1875rem; padding: 0.1875rem; overflow-x: auto; scrollbar-width: none; }
.chip { flex: none; display: inline-flex; align-items: center; gap: 0.375rem; min-block-size: 1.875rem; padding: 0 0.625rem; font-weight: 400; font-variant-numeric: tabular-nums; }
.chip .icon { inline-size: 0.875rem; block-size: 0.875rem; stroke-width: 2; }
.chip[aria-pressed="true"] { background: var(--_track); border-color: var(--_muted); font-weight: 500; }

.scroller { position: relative; flex: 1 1 auto; min-block-size: 0; overflow: auto; overscroll-behavior: contain; scrollbar-width: thin; }
.rows { position: relative; min-block-size: 100%; }
.row {
  position: absolute;
  inset-inline: 0;
  inset-block-start: 0;
  box-sizing: border-box;
  display: grid;
  --_step: calc(var(--_indent, 0) * 1.25rem);
  grid-template: 100% / minmax(8rem, 1.2fr) minmax(0, 1.4fr) minmax(3rem, 7rem) 3rem 1.75rem;
  gap: 0.75rem;
  align-items: center;
  block-size: 2.5rem;
  padding-inline: 1rem 0.75rem;
  contain: strict;
}
.row > [role="gridcell"], .row > .fold { min-inline-size: 0; }
.row:hover { background: color-mix(in srgb, var(--_track) 45%, transparent); }
.row:focus-visible { outline-offset: -2px; border-radius: 0.375rem; }
.row .icon { inline-size: 1.125rem; block-size: 1.125rem; }
.row[data-tone="running"] .sign.spinning .icon { animation: turn 1.4s linear infinite; }
@keyframes turn { to { transform: rotate(1turn); } }
.row.job > :is(.sign, .name) { grid-area: 1 / 1; }
.sign { display: grid; place-items: center; justify-self: start; margin-inline-start: var(--_step); }
.row.job > .name { padding-inline-start: calc(var(--_step) + 1.875rem); }
.name, .what { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.name { display: flex; align-items: center; gap: 0.25rem; font-size: 0.875rem; }
.name > :is(a, span) { overflow: hidden; text-overflow: ellipsis; color: inherit; text-decoration: none; unicode-bidi: plaintext; }
.name > a:hover { text-decoration: underline; }
.name .icon { inline-size: 1rem; block-size: 1rem; color: var(--_muted); }
.what { font-size: 0.8125rem; color: var(--_muted); }
.status { font-weight: 600; color: var(--_tone); }
[data-tone="revoked"] .status { color: var(--_text); }
.what > .more:has(> :not(:empty))::before { content: " · "; }
.status, .more > span, .summary, .heading { unicode-bidi: plaintext; }
.row .figure { font-size: 0.8125rem; font-weight: 500; }
.row .cancel { inline-size: 1.75rem; padding: 0; border-color: transparent; }
.row .cancel .icon { color: var(--_muted); inline-size: 1rem; block-size: 1rem; }
.fold { display: inline-grid; place-items: center; }
.row[aria-expanded="false"] .fold .icon { transform: rotate(calc(-90deg * var(--_way, 1))); }
.row[aria-expanded="true"] .icon { transform: none; }
.row.group { grid-template-columns: 1.125rem auto 1fr; gap: 0.5rem; background: var(--_background); cursor: pointer; }
.row.group:hover { background: var(--_track); }
.row.group .fold .icon { color: var(--_muted); }
.row.group .group-name { display: flex; align-items: center; gap: 0.5rem; font-size: 0.8125rem; font-weight: 600; }
.row.group .count { font-size: 0.75rem; font-weight: 400; color: var(--_muted); font-variant-numeric: tabular-nums; }
.row.more { display: grid; grid-template-columns: 1fr; justify-items: center; }
.ring { display: none; }

.empty { position: absolute; inset: 0; display: grid; place-content: center; justify-items: center; gap: 0.5rem; padding: 1.5rem; text-align: center; color: var(--_muted); font-size: 0.875rem; }
.empty .icon { inline-size: 1.75rem; block-size: 1.75rem; }
.empty b { font-weight: 600; color: var(--_text); }
.scroller:has(.empty:not([hidden])) { min-block-size: 9rem; }

@container (inline-size < 34rem) {
  .row.job { --_step: calc(var(--_indent, 0) * 0.75rem); grid-template: 1.375rem 1.125rem / minmax(0, 1fr) auto auto; align-content: center; gap: 0 0.625rem; block-size: 3.25rem; }
  .row:is(.group, .more) { block-size: 3.25rem; }
  .row.job > :is(.sign, .figure, .act) { grid-row: 1 / -1; }
  .row.job > .sign { grid-column: 1; }
  .row.job > .figure { grid-column: 2; min-inline-size: 0; }
  .row.job > .act { grid-column: 3; inline-size: 1.75rem; }
  .row.job > .what { grid-area: 2 / 1; padding-inline-start: calc(var(--_step) + 1.875rem); }
  .row.job > .gauge { position: absolute; inset-inline: 0; inset-block-end: 0; }
  .row.job .bar { block-size: 2px; border-radius: 0; }
  .title { flex-wrap: wrap; row-gap: 0; }
  .summary { flex-basis: 100%; order: 3; }
  .title .figure { margin-inline-start: auto; }
  .controls { flex-wrap: wrap; }
  .find, .chips { flex: 1 1 100%; }
}
@media (forced-colors: active) {
  .chip[aria-pressed="true"] { outline: 2px solid; }
}
`;
