// One listener for all jobs of the page: the events bubble.
document.addEventListener("success", ({ target, detail }) => {
  document.getElementById("told").textContent = `${target.job} has ended after ${detail.current} rows`;
});
