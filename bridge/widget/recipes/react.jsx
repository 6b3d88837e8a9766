import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { useTaskProgress } from "./use-task-progress.js";

const Rows = ({ job, token }) => {
  const state = useTaskProgress(job, token);
  return <p id="rows">{state ? `${state.current} of ${state.total} rows` : "…"}</p>;
};

// The element works as it is, too; React 19 passes properties and listens to events.
const Page = () => {
  const [done, setDone] = useState(false);
  return (
    <>
      <Rows job="a" token="t" />
      <task-progress job="a" token="t" size="bar" onsuccess={() => setDone(true)} />
      {done && <p id="done">Done</p>}
    </>
  );
};

createRoot(document.getElementById("app")).render(
  <StrictMode>
    <Page />
  </StrictMode>,
);
