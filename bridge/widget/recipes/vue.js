import { createApp, h, onBeforeUnmount, ref } from "vue";
import { watch } from "/bridge/task-progress.js";

/** The newest state of a job, or null: `const state = useTaskProgress(job, token)`. */
const useTaskProgress = (job, token) => {
  const state = ref(null);
  const watched = watch(job, { token });
  watched.addEventListener("progress", ({ detail }) => (state.value = detail));
  onBeforeUnmount(() => watched.close());
  return state;
};

// In a template: <task-progress :job="job" :token="token" @success="done = true" />, and tell the compiler
// of it: app.config.compilerOptions.isCustomElement = (tag) => tag.startsWith("task-").
createApp({
  setup() {
    const state = useTaskProgress("a", "t");
    const done = ref(false);
    return () => [
      h("p", { id: "rows" }, state.value ? `${state.value.current} of ${state.value.total} rows` : "…"),
      h("task-progress", { job: "a", token: "t", size: "bar", onSuccess: () => (done.value = true) }),
      done.value ? h("p", { id: "done" }, "Done") : null,
    ];
  },
}).mount("#app");
