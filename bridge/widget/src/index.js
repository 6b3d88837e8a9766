/**
 * `<task-progress>` and `watch()`; importing this registers the element.
 *
 * @module
 */

import { TaskProgress } from "./task-progress.js";
import { Watch, WatchError, watch } from "./watch.js";

if (globalThis.customElements) TaskProgress.define();

export { TaskProgress, Watch, WatchError, watch };
