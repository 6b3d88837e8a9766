/**
 * How the element looks.
 *
 * As a constructed style sheet it passes a Content-Security-Policy without 'unsafe-inline'.
 *
 * @module
 */

export const CSS = `
:host {
  --_background: var(--task-progress-background, #ffffff);
  --_border: var(--task-progress-border, #d9dee3);
  --_text: var(--task-progress-text, #1b2025);
  --_muted: var(--task-progress-muted, #59636e);
  --_track: var(--task-progress-track, #e6eaee);
  --_running: var(--task-progress-running, #0b62d6);
  --_waiting: var(--task-progress-waiting, #6b7681);
  --_retrying: var(--task-progress-retrying, #95590a);
  --_success: var(--task-progress-success, #18794e);
  --_failure: var(--task-progress-failure, #c4292f);
  --_lost: var(--task-progress-lost, #7d3fb8);
  --_tone: var(--_waiting);
  --_way: 1;
  display: block;
  contain: layout style;
  min-inline-size: 0;
  font: var(--task-progress-font, 400 0.9375rem/1.4 system-ui, sans-serif);
  color: var(--_text);
}
@supports (color: light-dark(#000, #fff)) {
  :host {
    --_background: var(--task-progress-background, light-dark(#ffffff, #181b20));
    --_border: var(--task-progress-border, light-dark(#d9dee3, #343a42));
    --_text: var(--task-progress-text, light-dark(#1b2025, #eceff2));
    --_muted: var(--task-progress-muted, light-dark(#59636e, #a3adb8));
    --_track: var(--task-progress-track, light-dark(#e6eaee, #2b3037));
    --_running: var(--task-progress-running, light-dark(#0b62d6, #6cabff));
    --_waiting: var(--task-progress-waiting, light-dark(#6b7681, #8f9aa6));
    --_retrying: var(--task-progress-retrying, light-dark(#95590a, #f0b04a));
    --_success: var(--task-progress-success, light-dark(#18794e, #4fc78d));
    --_failure: var(--task-progress-failure, light-dark(#c4292f, #ff8c8f));
    --_lost: var(--task-progress-lost, light-dark(#7d3fb8, #c9a0ff));
  }
}
:host([hidden]) { display: none; }
:host(:dir(rtl)) { --_way: -1; }

.frame {
  display: grid;
  grid-template-columns: 1.25rem minmax(0, 1fr) auto;
  column-gap: 0.625rem;
  row-gap: 0.5rem;
  align-items: center;
  padding: var(--task-progress-padding, 0.875rem 1rem);
  background: var(--_background);
  border: 1px solid var(--_border);
  border-radius: var(--task-progress-radius, 0.75rem);
}
.frame[data-tone="running"] { --_tone: var(--_running); }
.frame[data-tone="retrying"] { --_tone: var(--_retrying); }
.frame[data-tone="success"] { --_tone: var(--_success); }
.frame[data-tone="failure"], .frame[data-tone="refused"] { --_tone: var(--_failure); }
.frame[data-tone="lost"] { --_tone: var(--_lost); }
.frame[data-offline] { border-style: dashed; }
.frame[data-offline] .bar { opacity: 0.5; }

.icon { inline-size: 1.25rem; block-size: 1.25rem; color: var(--_tone); }
.head { display: flex; align-items: baseline; gap: 0.5rem; min-inline-size: 0; }
.label { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.attempt, .connection {
  flex: none;
  padding: 0 0.5em;
  font-size: 0.8125em;
  color: var(--_muted);
  border: 1px solid var(--_border);
  border-radius: 99px;
}
.connection { border-style: dashed; }
.side { display: flex; align-items: center; gap: 0.75rem; }
.figure { font-weight: 600; font-variant-numeric: tabular-nums; text-align: end; }
.cancel {
  min-block-size: 1.75rem;
  margin-block: -0.25rem;
  padding: 0 0.75em;
  font: inherit;
  font-size: 0.8125em;
  color: var(--_text);
  background: transparent;
  border: 1px solid var(--_muted);
  border-radius: 0.5em;
  cursor: pointer;
}
.cancel:hover { border-color: currentColor; }
.cancel:focus-visible { outline: 2px solid var(--_running); outline-offset: 2px; }
.cancel[aria-disabled] { opacity: 0.55; cursor: default; }
.frame:focus { outline: none; }

.bar {
  position: relative;
  grid-column: 1 / -1;
  block-size: var(--task-progress-bar-height, 0.5rem);
  overflow: hidden;
  background: var(--_track);
  border-radius: 99px;
}
.fill {
  position: absolute;
  inset: 0;
  background: var(--_tone);
  border-radius: inherit;
  transform: translateX(calc((var(--_part, 0) - 1) * 100% * var(--_way)));
  transition: transform var(--task-progress-glide, 0.35s) linear, background-color 0.2s;
}
.bar[data-indeterminate] .fill { transform: none; transition: none; background: none; }
.bar[data-indeterminate="moving"] .fill {
  inline-size: 35%;
  background: var(--_tone);
  animation: pass 1.6s ease-in-out infinite;
}
.bar[data-indeterminate="still"] .fill { background: var(--_stripes); opacity: 0.55; }
.bar {
  --_stripes: repeating-linear-gradient(-45deg, var(--_tone) 0 0.25rem, transparent 0.25rem 0.625rem);
}
@keyframes pass {
  from { transform: translateX(calc(-65% * var(--_way))); }
  to { transform: translateX(calc(250% * var(--_way))); }
}

.line {
  grid-column: 1 / -1;
  display: flex;
  flex-wrap: wrap;
  justify-content: space-between;
  column-gap: 1rem;
  min-block-size: 1.4em;
  font-size: 0.875em;
  color: var(--_muted);
}
.telling { flex: 1 1 12rem; min-inline-size: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.status { font-weight: 600; color: var(--_tone); }
.frame:is([data-tone="idle"], [data-tone="waiting"], [data-tone="revoked"]) .status { color: var(--_text); }
.figures { flex: none; max-inline-size: 100%; font-variant-numeric: tabular-nums; }

.error, .hint { grid-column: 1 / -1; font-size: 0.875em; overflow-wrap: anywhere; }
.error { padding-inline-start: 0.75rem; border-inline-start: 3px solid var(--_tone); white-space: pre-wrap; max-block-size: 8.4em; overflow-y: auto; }
.error-type { font-weight: 600; }
.hint { color: var(--_muted); font-variant-numeric: tabular-nums; }
.label, .stage, .message, .figures, .error, .hint { unicode-bidi: isolate; }
.attempt:empty, .connection:empty, [hidden], .hint:empty, .figures:empty, .figure:empty { display: none; }

.spoken {
  position: absolute;
  inline-size: 1px;
  block-size: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}

.icon .turning { transform-origin: center; animation: turn 1.2s linear infinite; }
@keyframes turn { to { transform: rotate(1turn); } }

@media (prefers-reduced-motion: reduce) {
  .fill { transition: none; }
  .icon .turning, .bar[data-indeterminate="moving"] .fill { animation: none; }
  .bar[data-indeterminate="moving"] .fill { inline-size: auto; background: var(--_stripes); }
}
@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .fill { background: Highlight; forced-color-adjust: none; }
}
`;
