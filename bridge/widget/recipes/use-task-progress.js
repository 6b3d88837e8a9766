import { useEffect, useState } from "react";
import { watch } from "/bridge/task-progress.js";

/** The newest state of a job, or null: `const state = useTaskProgress(job, token)`. */
export const useTaskProgress = (job, token) => {
  const [state, setState] = useState(null);
  useEffect(() => {
    const watched = watch(job, { token });
    watched.addEventListener("progress", ({ detail }) => setState(detail));
    return () => watched.close();
  }, [job, token]);
  return state;
};
