/**
 * Colours that the elements share: each can be replaced from outside.
 *
 * As a constructed style sheet it passes a Content-Security-Policy without 'unsafe-inline'.
 *
 * @module
 */

export const PALETTE = `
:host {
  --_background: var(--task-progress-background, light-dark(#fff, #16191d));
  --_border: var(--task-progress-border, light-dark(#dde1e6, #31363d));
  --_text: var(--task-progress-text, light-dark(#191c20, #eceef1));
  --_muted: var(--task-progress-muted, light-dark(#59616b, #a2abb6));
  --_track: var(--task-progress-track, light-dark(#e7eaee, #2a2f36));
  --_waiting: var(--task-progress-waiting, light-dark(#66707c, #97a1ad));
  --_running: var(--task-progress-running, light-dark(#1b5fd0, #6aa5fb));
  --_retrying: var(--task-progress-retrying, light-dark(#8f5606, #e9ab4b));
  --_success: var(--task-progress-success, light-dark(#1a7a4c, #4cc38a));
  --_failure: var(--task-progress-failure, light-dark(#c02b33, #ff8a8a));
  --_lost: var(--task-progress-lost, light-dark(#7541b0, #c4a0fa));
  min-inline-size: 0;
  font: var(--task-progress-font, 400 0.9375rem/1.4 system-ui, sans-serif);
  color: var(--_text);
}
:host([hidden]), [hidden] { display: none !important; }
[data-tone] { --_tone: var(--_waiting); }
[data-tone="running"] { --_tone: var(--_running); }
[data-tone="retrying"] { --_tone: var(--_retrying); }
[data-tone="success"] { --_tone: var(--_success); }
[data-tone="failure"] { --_tone: var(--_failure); }
[data-tone="lost"] { --_tone: var(--_lost); }

.icon {
  flex: none;
  inline-size: 1.25rem;
  block-size: 1.25rem;
  overflow: visible;
  color: var(--_tone);
  fill: none;
  stroke: currentColor;
  stroke-width: 1.75;
  stroke-linecap: round;
  stroke-linejoin: round;
}
.solid { fill: currentColor; stroke: none; }
.faint { opacity: 0.3; }
.knocked-out { stroke: var(--_background); stroke-width: 2; }

.bar {
  --_stripes: repeating-linear-gradient(-60deg, var(--_tone) 0 0.1875rem, transparent 0.1875rem 0.5rem);
  position: relative;
  block-size: var(--task-progress-bar-height, 0.375rem);
  overflow: hidden;
  background: var(--_track);
  border-radius: 99px;
}
.fill {
  position: absolute;
  inset: 0;
  background: var(--_tone);
  border-radius: inherit;
  transform: translateX(calc((var(--_part, 0) - 1) * 100% * var(--_way, 1)));
  transition: transform var(--task-progress-glide, var(--_glide, 0s)) linear;
}
:host(:dir(rtl)) { --_way: -1; }
.bar[data-indeterminate] .fill { transform: none; transition: none; }
.bar[data-indeterminate="moving"] .fill {
  inline-size: 35%;
  animation: pass 1.8s cubic-bezier(0.45, 0, 0.55, 1) infinite;
}
[data-tone="waiting"] .bar[data-indeterminate="moving"] .fill { --_far: 556%; inline-size: 18%; animation-duration: 3.2s; }
.bar[data-indeterminate="still"] .fill, [data-tone="lost"] .fill, [data-tone="offline"] .fill { background: var(--_stripes); }
.bar[data-indeterminate="still"] .fill { opacity: 0.5; }
[data-tone="failure"] .bar[data-indeterminate] .fill, [data-tone="revoked"] .bar[data-indeterminate] .fill { background: none; }
@keyframes pass {
  from { transform: translateX(calc(-100% * var(--_way, 1))); }
  to { transform: translateX(calc(var(--_far, 286%) * var(--_way, 1))); }
}

button {
  display: inline-grid;
  place-items: center;
  min-block-size: 1.75rem;
  padding: 0 0.75em;
  font: inherit;
  font-size: 0.8125rem;
  font-weight: 500;
  color: var(--_text);
  background: transparent;
  border: 1px solid var(--_border);
  border-radius: 0.4375rem;
  cursor: pointer;
}
button:hover { background: var(--_track); }
:focus-visible { outline: 2px solid var(--_running); outline-offset: 1px; }
button[aria-disabled] { color: var(--_muted); background: transparent; cursor: default; }
button.icon-only { inline-size: 1.75rem; padding: 0; border-color: transparent; }
button.icon-only .icon { color: var(--_muted); }
[aria-expanded="true"] .icon { transform: scaleY(-1); }

.spoken {
  position: absolute;
  inline-size: 1px;
  block-size: 1px;
  overflow: hidden;
  clip-path: inset(50%);
  white-space: nowrap;
}

@media (prefers-reduced-motion: reduce) {
  .fill { transition: none; }
  .icon, .bar[data-indeterminate="moving"] .fill { animation: none !important; }
  .bar[data-indeterminate="moving"] .fill { inline-size: auto !important; background: var(--_stripes); opacity: 0.5; }
}
@media (forced-colors: active) {
  .bar { border: 1px solid CanvasText; }
  .fill { background: Highlight; forced-color-adjust: none; }
  .knocked-out { stroke: Canvas; }
}
`;
