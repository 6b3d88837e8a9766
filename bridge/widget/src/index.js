/**
 * `<task-progress>`, `<task-list>`, `watch()` and `watchList()`; importing this registers the elements.
 *
 * @module
 */

import { TaskList } from "./task-list.js";
import { TaskProgress } from "./task-progress.js";
import { Watch, WatchError, watch } from "./watch.js";
import { watchList } from "./wire.js";

if (globalThis.customElements) {
  TaskProgress.define();
  TaskList.define();
}

export { TaskList, TaskProgress, Watch, WatchError, watch, watchList };
