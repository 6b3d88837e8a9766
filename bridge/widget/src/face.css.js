/**
 * How `<task-progress>` looks, in its four sizes. Each has one height, whatever the job does.
 *
 * @module
 */

export const CSS = `
:host { display: block; container-type: inline-size; contain: layout style; }

.frame {
  box-sizing: border-box;
  display: grid;
  grid-template: 1.75rem auto 1.25rem / 1.25rem minmax(0, 1fr) fit-content(35%) auto;
  gap: 0.4375rem 0.625rem;
  align-items: center;
  align-content: center;
  block-size: 6rem;
  padding: 0 1rem;
  content-visibility: auto;
  contain-intrinsic-block-size: 6rem;
  background: var(--_background);
  border: 1px solid var(--_border);
  border-radius: var(--task-progress-radius, 0.625rem);
}
.frame[data-tone="offline"] { border-style: dashed; }
.frame:focus { outline: none; }
.frame[data-tone="running"] > .icon.spinning { animation: turn 1.4s linear infinite; }
@keyframes turn { to { transform: rotate(1turn); } }

.head { display: flex; align-items: center; gap: 0.375rem; min-inline-size: 0; }
.label { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.attempt {
  flex: none;
  padding: 0.0625rem 0.4375rem;
  font-size: 0.75rem;
  color: var(--_muted);
  background: var(--_track);
  border-radius: 99px;
}
.attempt:empty { display: none; }
.disclose { margin-inline-start: -0.25rem; }
.side { display: flex; align-items: center; justify-content: end; gap: 0.375rem; min-inline-size: 0; }
.side > button { flex: none; }
/* Rather than the label, what the page adds becomes short. */
::slotted([slot="actions"]) { unicode-bidi: plaintext; min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.figure {
  min-inline-size: 2.75rem;
  font-weight: 600;
  font-variant-numeric: tabular-nums;
  text-align: end;
  white-space: nowrap;
}
/* What comes later must not move the button. */
.figure:empty { display: none; }
.side:has(.cancel:not([hidden])) + .figure:empty { display: block; }
.figure:empty::before { content: "–"; color: var(--_muted); font-weight: 400; }
.cancel .icon { display: none; }
.bar { grid-column: 1 / -1; }
.ring { display: none; }

.line {
  grid-column: 1 / -1;
  display: flex;
  align-items: baseline;
  gap: 1rem;
  min-inline-size: 0;
  font-size: 0.8125rem;
  line-height: 1.25rem;
  color: var(--_muted);
}
.telling { flex: 1 1 0; min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.status { font-weight: 600; color: var(--_tone); }
[data-tone="revoked"] .status, [data-tone="idle"] .status { color: var(--_text); }
.telling > :not(.status, .fault)::before { content: " · "; }
.telling > :is(:empty, :has(> span:empty)) { display: none; }
.figures { flex: none; max-inline-size: 62%; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-variant-numeric: tabular-nums; }
.figures:empty { display: none; }
.outcome { display: none; flex: none; max-inline-size: 50%; }
[data-tone="success"] .outcome.given { display: block; }
.fault { color: var(--_failure); }
/* A text has its own direction, whatever the page's is. */
.label, .status, .telling > span > span, .brief slot > span, .fault, .figures { unicode-bidi: plaintext; }
::slotted([slot="error"]) { unicode-bidi: isolate; }

@container (inline-size < 26rem) {
  .cancel { inline-size: 1.75rem; padding: 0; }
  .cancel .icon { display: block; color: inherit; inline-size: 1rem; block-size: 1rem; }
  .cancel .word { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
  .frame { grid-template-rows: 1.75rem auto 2.5rem; block-size: 7.25rem; contain-intrinsic-block-size: 7.25rem; }
  .line { flex-wrap: wrap; align-content: start; row-gap: 0; block-size: 2.5rem; overflow: hidden; }
  .telling { flex-basis: 100%; }
  .telling:has(+ .figures:empty) { white-space: normal; max-block-size: 2.5rem; }
  .figures { max-inline-size: 100%; }
  [data-tone="lost"] .figures { display: none; }
  [data-tone="lost"] .telling { white-space: normal; max-block-size: 2.5rem; }
}

/* A bar without a frame, for a place that has one. */
:host([size="bar"]) .frame {
  gap: 0.1875rem 0.5rem;
  block-size: 4rem;
  padding: 0;
  background: none;
  border: 0;
  contain-intrinsic-block-size: 4rem;
}
:host([size="bar"]) .frame > .icon { inline-size: 1.125rem; block-size: 1.125rem; }
:host([size="bar"]) .label { font-weight: 500; }
@container (inline-size < 26rem) {
  :host([size="bar"]) .frame { block-size: 5.25rem; contain-intrinsic-block-size: 5.25rem; }
}

/* One line, for tables and lists. */
:host([size="row"]) .frame {
  position: relative;
  grid-template: 100% / 1.125rem minmax(5rem, 1fr) minmax(0, 1.5fr) minmax(3rem, 6rem) 3rem minmax(1.75rem, auto);
  gap: 0.75rem;
  block-size: 2.75rem;
  padding: 0 0.25rem;
  background: none;
  border: 0;
  border-radius: 0;
  border-block-end: 1px solid var(--_border);
  contain-intrinsic-block-size: 2.75rem;
}
:host([size="row"]) .frame > * { grid-row: 1; }
:host([size="row"]) .frame > .icon { inline-size: 1.125rem; block-size: 1.125rem; }
:host([size="row"]) .label { font-weight: 500; }
:host([size="row"]) .line { grid-column: 3; }
:host([size="row"]) .bar { grid-column: 4; }
:host([size="row"]) .figure { grid-column: 5; min-inline-size: 0; font-weight: 500; }
:host([size="row"]) .side { grid-column: 6; }
:host([size="row"]) .cancel { inline-size: 1.75rem; padding: 0; border-color: transparent; }
:host([size="row"]) .cancel .icon { display: block; color: var(--_muted); }
:host([size="row"]) .cancel .word { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden; clip-path: inset(50%); }
@container (inline-size < 48rem) {
  :host([size="row"]) .figures { display: none; }
}
@container (inline-size < 26rem) {
  :host([size="row"]) .frame {
    grid-template: 1.5rem 1.25rem / 1.125rem minmax(0, 1fr) auto fit-content(40%);
    gap: 0 0.5rem;
    block-size: 3.5rem;
    contain-intrinsic-block-size: 3.5rem;
  }
  :host([size="row"]) .frame > :is(.icon, .figure, .side) { grid-row: 1 / -1; }
  :host([size="row"]) .figure { grid-column: 3; }
  :host([size="row"]) .side { grid-column: 4; }
  :host([size="row"]) .line { grid-area: 2 / 2; block-size: 1.25rem; }
  :host([size="row"]) .telling.telling { white-space: nowrap; }
  :host([size="row"]) .bar { grid-area: auto; position: absolute; inset-inline: 0; inset-block-end: -1px; block-size: 2px; }
}

/* A ring with its word below. */
:host([size="ring"]) { --_ring: var(--task-progress-ring, 4.5rem); display: inline-block; container-type: normal; vertical-align: top; }
:host([size="ring"]) .frame {
  position: relative;
  grid-template: var(--_ring) 1.125rem 1.125rem / minmax(0, 1fr);
  justify-items: center;
  gap: 0.375rem 0;
  inline-size: calc(var(--_ring) + 3rem);
  block-size: calc(var(--_ring) + 3.5rem);
  padding: 0;
  background: none;
  border: 0;
  contain-intrinsic-block-size: 8rem;
}
:host([size="ring"]) .frame > * { grid-column: 1; max-inline-size: 100%; }
:host([size="ring"]) .bar {
  grid-row: 1;
  inline-size: var(--_ring);
  block-size: var(--_ring);
  overflow: visible;
  background: none;
  border: 0;
}
:host([size="ring"]) .fill, :host([size="ring"]) .side, :host([size="ring"]) .disclose, :host([size="ring"]) .attempt,
:host([size="ring"]) .figures, :host([size="ring"]) .outcome, :host([size="ring"]) .telling > :not(.status),
:host([size="ring"]) [data-tone="running"] > .icon, :host([size="ring"]) .figure.figure:empty,
:host([size="ring"]) .frame:not([data-tone="running"]) .figure { display: none; }
:host([size="ring"]) .ring {
  display: block;
  inline-size: 100%;
  block-size: 100%;
  fill: none;
  stroke: var(--_track);
  stroke-width: 1.625;
  transform: rotate(-90deg) scaleY(var(--_way, 1));
}
.arc {
  stroke: var(--_tone);
  stroke-linecap: round;
  stroke-dasharray: 1 2;
  stroke-dashoffset: calc(1 - var(--_part, 0));
  transition: stroke-dashoffset var(--task-progress-glide, var(--_glide, 0s)) linear;
}
.bar[data-indeterminate] .arc { stroke-dasharray: 0.02 0.03; stroke-dashoffset: 0; stroke-linecap: butt; }
.bar[data-indeterminate="moving"] .arc { stroke-dasharray: 0.22 0.78; stroke-linecap: round; }
.bar[data-indeterminate="moving"] .ring { animation: wind 1.6s linear infinite; }
[data-tone="waiting"] .bar[data-indeterminate="moving"] .arc { stroke-dasharray: 0.1 0.9; }
[data-tone="waiting"] .bar[data-indeterminate="moving"] .ring { animation-duration: 3.2s; }
@keyframes wind { to { transform: rotate(270deg) scaleY(var(--_way, 1)); } }
:host([size="ring"]) .frame > .icon, :host([size="ring"]) .figure { grid-area: 1 / 1; }
:host([size="ring"]) .figure { min-inline-size: 0; text-align: center; }
:host([size="ring"]) .frame > .icon { inline-size: 1.75rem; block-size: 1.75rem; }
:host([size="ring"]) .head { grid-row: 2; font-size: 0.875rem; }
:host([size="ring"]) .line { grid-row: 3; margin-block-start: -0.3125rem; font-size: 0.75rem; line-height: 1.125rem; }

.frame:has(+ .details:not([hidden])) { border-end-start-radius: 0; border-end-end-radius: 0; }
.details {
  padding: 0.875rem 1rem;
  font-size: 0.8125rem;
  background: var(--_background);
  border: 1px solid var(--_border);
  border-block-start: 0;
  border-end-start-radius: var(--task-progress-radius, 0.625rem);
  border-end-end-radius: var(--task-progress-radius, 0.625rem);
}
:host(:is([size="bar"], [size="row"])) .details { padding: 0.5rem 0; background: none; border: 0; }
:host([size="ring"]) .details { display: none; }
.stages { display: grid; gap: 0.375rem; margin: 0; padding: 0; list-style: none; }
.stages li {
  display: grid;
  grid-template-columns: 1rem minmax(0, 1fr) auto minmax(3rem, 6rem);
  gap: 0.5rem;
  align-items: center;
  font-variant-numeric: tabular-nums;
}
.stages .icon { inline-size: 1rem; block-size: 1rem; }
.stages .bar { grid-column: auto; block-size: 0.25rem; }
.stage-name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.stage-amount { color: var(--_muted); }
.error { display: grid; gap: 0.5rem; justify-items: start; }
.stages:not(:empty) + .error { margin-block-start: 0.75rem; }
.error p {
  box-sizing: border-box;
  inline-size: 100%;
  max-block-size: 12rem;
  margin: 0;
  padding: 0.625rem 0.75rem;
  overflow: auto;
  font-family: ui-monospace, monospace;
  white-space: pre-wrap;
  overflow-wrap: anywhere;
  background: var(--_track);
  border-radius: 0.375rem;
}
.error-type { font-weight: 600; }

.log {
  display: flex;
  flex-direction: column;
  box-sizing: border-box;
  block-size: var(--task-progress-log-height, 14rem);
  margin-block-start: 0.5rem;
  overflow: hidden;
  background: var(--_background);
  border: 1px solid var(--_border);
  border-radius: var(--task-progress-radius, 0.625rem);
}
:host(:not([log])) .log { display: none; }

@media (prefers-reduced-motion: reduce) {
  .arc { transition: none; }
  .ring { animation: none !important; }
}
@media (forced-colors: active) {
  .ring { stroke: GrayText; }
  .arc { stroke: Highlight; forced-color-adjust: none; }
}
`;
