// The buttons of one card; gradio calls this with the card's element and a way to reach the server.
element.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  if (button.dataset.do === "retry") return trigger("retry");

  const story = [...element.querySelectorAll("ol li")].map((line) => line.textContent).join(" ");
  try {
    await navigator.clipboard.writeText(story);
  } catch {
    // Over plain http from another machine browsers offer no clipboard but this one.
    const field = Object.assign(document.createElement("textarea"), { value: story });
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
  const label = button.textContent;
  if (label === button.dataset.done) return;
  button.textContent = button.dataset.done;
  setTimeout(() => (button.textContent = label), 1500);
});
